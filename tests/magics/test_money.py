"""What a notebook may spend, on the real agent and a loopback server in the API's place."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.errors import SpecError
from tests.conformance.test_budget import DEAR
from tests.modelapi import API_KEY, OAUTH_TOKEN, ModelApi

pytestmark = pytest.mark.needs("bubblewrap")

CELL = "%%cc -q --model claude-opus-5-5"


@pytest.fixture
def serve(monkeypatch):
    """Return a function that serves a task whose first call costs a dollar, for one credential."""
    servers = []

    def start(variable, value):
        server = ModelApi(DEAR, credential=value).__enter__()
        servers.append(server)
        monkeypatch.setenv(variable, value)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        return server

    yield start
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize(
    ("variable", "value"), [("ANTHROPIC_API_KEY", API_KEY), ("CLAUDE_CODE_OAUTH_TOKEN", OAUTH_TOKEN)]
)
def test_the_cap_holds_over_the_cells(shell, serve, variable, value):
    """A key's runs are held by the gateway, a token's by the agent itself; the cap is the same."""
    server = serve(variable, value)
    shell.run("%config CcMagics.max_usd = 1.5")
    shell.run('%config CcMagics.mode = "local"')
    assert shell.run(f"{CELL}\nGo.").value.outcome == "success"
    assert shell.run(f"{CELL} -m local,\nGo.").value.frame["outcome"].tolist() == ["budget"]
    asked = len(server.asked)
    assert "$2.00 of $1.50 are spent" in shell.run(f"{CELL}\nGo.").err
    assert "$2.00 of $1.50 are spent" in shell.run(f"{CELL} -m local,\nGo.").err
    assert len(server.asked) == asked
    assert len(ccnb.runs()) == 2
    shell.run("%config CcMagics.max_usd = 4.0")
    assert shell.run(f"{CELL}\nGo.").value.outcome == "success"


def test_runs_at_once_share_the_cap(shell, serve, monkeypatch):
    serve("ANTHROPIC_API_KEY", API_KEY)
    monkeypatch.setenv("CCNB_MAX_USD", "0.5")
    one, other = (shell.run(f"{CELL} -m local --bg\nGo.").value for _ in range(2))
    assert [run.result().outcome for run in (one, other)] == ["budget", "budget"]
    assert "are spent" in shell.run(f"{CELL} -m local\nGo.").err


def test_the_panel_spends_from_the_same_purse(shell, serve):
    server = serve("ANTHROPIC_API_KEY", API_KEY)
    shell.run("%config CcMagics.max_usd = 1.5")
    form = {"prompt": "Go.", "mode": "local", "modes": ["local"], "model": "claude-opus-5-5"}
    acts = shell.run("import ccnb\npanel = ccnb.panel()\npanel").value.children[0].acts
    acts["run"]({"form": form})
    assert [row.outcome for row in ccnb.runs()] == ["success"]
    acts["run"]({"form": form})
    assert [row.outcome for row in ccnb.runs()] == ["budget", "success"]
    asked = len(server.asked)
    for act in ("run", "compare"):
        with pytest.raises(SpecError, match=r"\$2.00 of \$1.50 are spent"):
            acts[act]({"form": form})
    assert "$2.00 of $1.50 are spent" in shell.run(f"{CELL} -m local\nGo.").err
    assert len(server.asked) == asked
    assert len(ccnb.runs()) == 2


def test_in_the_strongest_mode_that_is_ready_it_runs_as_well(shell, serve):
    serve("ANTHROPIC_API_KEY", API_KEY)
    ran = shell.run(f"{CELL}\nGo.")
    assert ran.err == ""
    assert (ran.value.outcome, ran.value.spec.auth) == ("success", "gateway")


def test_what_was_asked_for_one_run_is_its_own_limit(shell, serve):
    serve("ANTHROPIC_API_KEY", API_KEY)
    shell.run("%config CcMagics.max_usd = 10.0")
    assert shell.run(f"{CELL} -m local\nGo.").value.outcome == "success"
    assert shell.run(f"{CELL} -m local --budget-usd 0.5\nGo.").value.outcome == "budget"


def test_a_limit_of_tokens_is_a_cells_own_beside_the_cap(shell, serve):
    """Each run uses a quarter of a million, and the cap's ledger has those of all."""
    serve("ANTHROPIC_API_KEY", API_KEY)
    shell.run("%config CcMagics.max_usd = 10.0")
    assert shell.run(f"{CELL} -m local\nGo.").value.outcome == "success"
    assert shell.run(f"{CELL} -m local --budget-tokens 300000\nGo.").value.outcome == "success"
    assert shell.run(f"{CELL} -m local --budget-tokens 200000\nGo.").value.outcome == "budget"
