"""A budget that is used up ends a run as what it is, whoever noticed."""

from __future__ import annotations

import pytest

import ccnb
from tests.conformance.test_modes import run_until_clean

DEAR = """
- say: I make a file.
  tools: [Bash: {command: "echo one >$CWD/one.txt", description: make a file}]
  tokens: {input: 250000, output: 0}
- Done.
"""


@pytest.fixture
def dear(tmp_path):
    (tmp_path / "dear.yaml").write_text(DEAR)
    return {"api": f"script:{tmp_path}/dear.yaml", "model": "claude-opus-5-5"}


def test_the_gateway_ends_a_run_at_its_limit(home, places, mode, dear):
    """The agent's own limit is set out of reach, as it is for a second agent in the same place."""
    options = {**dear, "budget_usd": 0.5, "extra_args": ("--max-budget-usd=100",)}
    result = run_until_clean(places, mode=mode, **options)
    assert (result.outcome, result.error.kind) == ("budget", "budget")
    assert "used up the budget of $0.5 ($1.0000 spent)" in result.error.message
    assert result.error.next_action == "raise budget_usd"
    assert [(call["status"], call["refused"]) for call in result.calls] == [(200, None), (402, "budget")]
    assert [f.path for f in result.files] == ["one.txt"]


def test_the_gateway_ends_a_run_that_used_up_its_tokens(home, places, dear):
    result = run_until_clean(places, mode="local", budget_tokens=100_000, **dear)
    assert (result.outcome, result.error.kind) == ("budget", "budget_tokens")
    assert "used up the budget of 100,000 tokens (250,000 used)" in result.error.message
    assert result.error.next_action == "raise budget_tokens"
    assert [(call["status"], call["refused"]) for call in result.calls] == [
        (200, None),
        (402, "budget_tokens"),
    ]


def test_a_model_without_a_price_is_said_where_there_is_a_budget(home, places, dear):
    """It costs the gateway nothing, and the agent reckons by a price of its own making."""
    options = {**dear, "model": "claude-new-9", "mode": "local", "extra_args": ("--max-budget-usd=100",)}
    result = run_until_clean(places, budget_usd=0.5, **options)
    assert (result.outcome, result.error) == ("success", None)
    (warning,) = result.warnings
    assert warning.startswith("the gateway knows no price for claude-new-9")
    assert run_until_clean(places, **options).warnings == ()


def test_the_agent_ends_itself_at_its_limit(home, places, dear):
    result = run_until_clean(places, mode="local", budget_usd=0.5, **dear)
    assert result.outcome == "budget"
    assert [call["refused"] for call in result.calls] == [None]


def test_runs_of_a_group_share_one(home, places, dear):
    group = {"budget_usd": 1.5, "budget_group": "comparison", "mode": "local", **dear}
    outcomes = [run_until_clean(places, **group).outcome for _ in range(3)]
    assert outcomes == ["success", "budget", "budget"]


def test_a_group_needs_the_gateway(home, monkeypatch):
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-of-nobody-0123456789")
    with pytest.raises(ccnb.CcnbError, match="only the gateway can hold one budget"):
        ccnb.run("Do it", mode="local", budget_usd=1, budget_group="comparison")


def test_a_budget_of_tokens_needs_the_gateway(home, monkeypatch):
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-of-nobody-0123456789")
    with pytest.raises(ccnb.CcnbError, match="only the gateway can hold budget_tokens; use auth='gateway'"):
        ccnb.run("Do it", mode="local", budget_tokens=1_000)
    assert ccnb.runs() == []


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65])
def test_a_groups_name_is_plain(name):
    with pytest.raises(ccnb.CcnbError, match="budget_group"):
        ccnb.RunSpec(prompt="x", budget_group=name)


def test_what_a_run_cost_is_what_the_agent_says(home, places, mode):
    result = run_until_clean(places, mode=mode, api="script:demo", model="claude-sonnet-5-5")
    assert sum(call["cost_usd"] for call in result.calls) == pytest.approx(result.total_cost_usd)
    assert {call["retries"] for call in result.calls} == {0}
    assert 0 < result.timings.model_s <= sum(call["duration_s"] for call in result.calls) + 0.001
