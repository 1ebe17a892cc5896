"""Money: what a call costs, and when no more may be spent."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from ccnb.claude import find_program
from ccnb.gateway.app import create_app
from ccnb.gateway.budget import Ledger
from ccnb.gateway.forward import Vault
from ccnb.gateway.messages import to_events
from ccnb.gateway.prices import LONG_TOKENS, PRICES, cost_usd
from ccnb.gateway.registration import register
from tests.modelapi import API_KEY, Asked, ModelApi

USAGES: dict[str, dict[str, Any]] = {
    "input": {"input_tokens": 10_000},
    "output": {"output_tokens": 10_000},
    "cache read": {"cache_read_input_tokens": 10_000},
    "cache written": {"cache_creation_input_tokens": 10_000},
    "for an hour": {
        "cache_creation_input_tokens": 10_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 3_000, "ephemeral_1h_input_tokens": 7_000},
    },
    "long": {"input_tokens": 4_000, "cache_read_input_tokens": LONG_TOKENS, "output_tokens": 500},
}


def costs_by_the_agent(folder: Path, model: str, usage: dict[str, Any]) -> float:
    """Return what the real agent says that an answer of such a usage costs."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 0,
            **usage,
        },
    }

    def answer(_: Asked) -> Response:
        return Response(b"".join(to_events(message)), media_type="text/event-stream")

    with ModelApi(special=answer) as api:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CLAUDE_CONFIG_DIR": str(folder),
            "ANTHROPIC_API_KEY": API_KEY,
            "ANTHROPIC_BASE_URL": api.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        done = subprocess.run(
            [str(find_program()), "-p", "--output-format=json", f"--model={model}", "hi"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    return float(json.loads(done.stdout)["total_cost_usd"])


@pytest.mark.skipif(find_program() is None, reason="the claude program is not installed")
@pytest.mark.parametrize("model", PRICES)
def test_prices_are_those_by_which_the_agent_reckons(tmp_path: Path, model: str) -> None:
    for name, usage in USAGES.items():
        assert cost_usd(model, usage) == pytest.approx(costs_by_the_agent(tmp_path, model, usage)), name


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5[1m]"]
)
def test_a_models_name_may_have_a_date(model: str) -> None:
    assert cost_usd(model, {"input_tokens": 1_000_000, "output_tokens": 0}) == 3


@pytest.mark.parametrize(
    ("model", "usage"), [("claude-9", {}), (None, {}), ("claude-opus-5-5", {"speed": "fast"})]
)
def test_what_is_not_known_has_no_price(model: Any, usage: dict[str, Any]) -> None:
    assert cost_usd(model, usage) is None


Ask = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def asker(home: Path, client: TestClient | None = None) -> Ask:
    """Return a function that makes one call of a run which costs a dollar."""
    client = client or TestClient(create_app(home, Vault()))
    keys: dict[str, str] = {}
    script = home.parent / "dollar.yaml"
    script.write_text("- {say: Hi, tokens: {input: 250000, output: 0}}\n")

    def ask(run_id: str, *, model: str = "claude-opus-5-5", **budget: Any) -> Any:
        if run_id not in keys:
            until = time.time() + 60
            run = register(home, run_id, api=f"script:{script}", workspace="/w", until=until, **budget)
            keys[run_id] = run.key
        body = {"model": model, "messages": [], "tools": [{"name": "Bash"}]}
        return client.post("/v1/messages", headers={"x-api-key": keys[run_id]}, json=body)

    return ask


def calls(home: Path, run_id: str) -> list[dict[str, Any]]:
    text = (home / "runs" / run_id / "calls.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_at_its_limit_a_run_is_refused(home: Path) -> None:
    ask = asker(home)
    assert [ask("r1", budget_usd=2.5).status_code for _ in range(5)] == [200, 200, 200, 402, 402]
    error = ask("r1").json()["error"]
    assert error["type"] == "billing_error"
    assert error["message"] == "the run has used up the budget of $2.5 ($3.0000 spent)"
    assert [call["cost_usd"] for call in calls(home, "r1")[:4]] == [1, 1, 1, None]
    assert calls(home, "r1")[3]["refused"] == "budget"


def test_tokens_have_a_limit_too(home: Path) -> None:
    ask = asker(home)
    limit = {"budget_usd": 100, "budget_tokens": 600_000}
    assert [ask("r1", **limit).status_code for _ in range(5)] == [200, 200, 200, 402, 402]
    error = ask("r1").json()["error"]
    assert error["type"] == "billing_error"
    assert error["message"] == "the run has used up the budget of 600,000 tokens (750,000 used)"
    assert calls(home, "r1")[3]["refused"] == "budget_tokens"


BUDGETS: list[dict[str, Any]] = [{"budget_usd": 1.5}, {"budget_tokens": 375_000}]
"""Each is enough for a call and a half."""


@pytest.mark.parametrize("budget", BUDGETS)
def test_what_was_spent_is_known_after_a_restart(home: Path, budget: dict[str, Any]) -> None:
    ask = asker(home)
    assert ask("r1", **budget).status_code == 200
    assert ask("r1").status_code == 200
    ask_anew = asker(home)
    assert ask_anew("r1", **budget).status_code == 402


@pytest.mark.parametrize("budget", BUDGETS)
def test_runs_of_a_group_spend_of_one_budget(home: Path, budget: dict[str, Any]) -> None:
    ask = asker(home)
    group = {**budget, "budget_group": "comparison-1"}
    assert [ask(run_id, **group).status_code for run_id in ("a", "b", "c")] == [200, 200, 402]
    assert "these runs together have used up" in ask("a").json()["error"]["message"]
    assert ask("other", **budget).status_code == 200
    ask_anew = asker(home)
    assert ask_anew("e", **group).status_code == 402


def test_a_model_without_a_price_spends_tokens_alone(home: Path) -> None:
    ask = asker(home)
    limit = {"budget_usd": 0.1, "budget_tokens": 600_000}
    answers = [ask("r1", model="claude-9", **limit).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 402]
    assert calls(home, "r1")[0]["cost_usd"] is None


@pytest.mark.parametrize("kind", ["input", "output", "cache_creation_input", "cache_read_input"])
def test_tokens_of_every_kind_count(tmp_path: Path, kind: str) -> None:
    ledger = Ledger(tmp_path / "none.jsonl")
    ledger.add({"cost_usd": None, f"{kind}_tokens": 7})
    assert (ledger.spent_usd, ledger.spent_tokens) == (0, 7)


def test_half_a_line_in_the_ledger_is_passed_over(home: Path) -> None:
    ask = asker(home)
    ask("r1", budget_usd=1.5)
    with (home / "runs" / "r1" / "calls.jsonl").open("a") as file:
        file.write('[1]\n"x"\n{"cost_usd": "a"}\n{"input_tokens": []}\n{"cost')
    assert asker(home)("r1", budget_usd=1.5).status_code == 200
