"""What holds for a comparison as a whole: one model, and limits on money, tokens and time."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.errors import CredentialError
from ccnb.store import Store, comparisons
from tests.comparison.client import compare
from tests.credentials.conftest import login
from tests.modelapi import API_KEY, ModelApi

pytestmark = pytest.mark.needs("bubblewrap")

DEAR = """
- say: I make a file.
  tools: [Bash: {command: "echo one >$CWD/one.txt", description: make a file}]
  tokens: {input: 250000, output: 0}
- Done.
"""
MODEL = "claude-opus-5-5"


def models_asked_for(comparison):
    return [result.spec.model for result in comparison.results()]


def test_the_model_that_answers_first_is_asked_for_by_all_others(obedient, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
    with ModelApi() as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        live = {"api": "live", "auth": "gateway", "concurrency": 2}
        stopped = compare("pinned", repeats=2, total_usd=0.4, **live)
        # Alone, though two may run at once: nobody is asked before it is known which one answers.
        assert models_asked_for(stopped) == [None]
        whole = compare("pinned", repeats=2, **live)
        assert models_asked_for(whole) == [None, "m", "m", "m"]
        assert set(whole.frame["model_served"]) == {"m"}
        named = compare("named", repeats=1, models=["haiku", None], **live)
        by_arm = dict(zip(named.frame["arm"], models_asked_for(named), strict=True))
        assert {by_arm["haiku · quick"], by_arm["haiku · slow"]} == {"haiku"}
        assert set(named.write_lock().read_text().split('"')) >= {"haiku", "m"}


@pytest.fixture
def login_file(obedient):
    """Return the path of Claude Code's own file, where the comparison looks for it."""
    folder = obedient / "no-login"
    folder.mkdir()
    return folder / ".credentials.json"


def test_a_login_that_many_runs_share_and_may_outlast_is_said_with_the_comparison(login_file):
    login_file.write_text(login(left_s=7300))
    heard = []
    options = {"api": "live", "concurrency": 2, "timeout_s": 3600, "on_progress": heard.append}
    comparison = compare("shared", repeats=3, **options)
    assert comparison.frame["counted"].sum() == 6
    expires, shared = comparison.warnings
    assert "and 6 runs may take 3 h 0 min;" in expires
    assert shared.startswith(f"2 runs at once share the login token in {login_file}")
    assert heard[:2] == [expires, shared]


def test_with_an_expired_login_no_comparison_is_begun(login_file):
    login_file.write_text(login(left_s=-5))
    with pytest.raises(CredentialError, match="run `claude setup-token`"):
        compare("expired", repeats=3, api="live", concurrency=2)
    assert ccnb.runs() == []
    assert comparisons.names(Store()) == []


@pytest.mark.parametrize(
    ("little", "plenty", "said"),
    [
        ({"total_usd": 1.5}, {"total_usd": 10}, "$1.50 are spent"),
        ({"total_tokens": 375_000}, {"total_tokens": 2_500_000}, "375,000 tokens are used up"),
    ],
)
def test_the_gateway_refuses_what_would_cost_more_than_the_whole_may(home, tmp_path, little, plenty, said):
    """The agent is the real one; there is enough for one and a half of its runs."""
    (tmp_path / "dear.yaml").write_text(DEAR)
    given = {"modes": ["local"], "api": f"script:{tmp_path}/dear.yaml", "models": [MODEL], "warmups": 0}
    stopped = ccnb.compare("Do it.", repeats=3, name="dear", **little, **given)
    assert stopped.stopped == said
    assert list(stopped.frame["counted"]) == [True, False, False]
    # The second run's first call went through, its second was refused: that is no outcome of the arm's.
    assert list(stopped.failures()["outcome"]) == ["budget"]
    # What was under way when the limit was reached goes through to its end, no more.
    assert ccnb.frames.calls_frame()["cost_usd"].sum() == pytest.approx(2.0, abs=0.1)
    whole = ccnb.compare("Do it.", repeats=3, name="dear", **plenty, **given)
    assert whole.stopped == ""
    assert whole.frame["counted"].all()


TOKENS = '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"usage":'
SPEAKS = f"init; echo '{TOKENS}" + '{"input_tokens":900,"output_tokens":100}}' + "'"


def test_tokens_and_time_end_it_between_two_runs(obedient):
    variants = {"one": {"env": {"AGENT": SPEAKS}}, "two": {"env": {"AGENT": SPEAKS + "; sleep 0.01"}}}
    tokens = compare("tokens", repeats=3, variants=variants, total_tokens=2_000)
    assert tokens.stopped == "2,000 tokens are used up"
    assert tokens.frame["counted"].sum() == 2
    sleeps = {name: {"env": {"AGENT": f"init; sleep {s}; result"}} for name, s in (("a", 3), ("b", 3.1))}
    time = compare("time", repeats=1, variants=sleeps, total_s=2.5)
    assert time.stopped == "2.50 s are over"
    assert time.frame["counted"].sum() == 1
    assert compare("time", repeats=1, variants=sleeps, total_s=600).frame["counted"].all()
