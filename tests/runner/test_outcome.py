"""How a run ended: the table of what Claude Code 2.1.330 does, line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import Event
from ccnb.redact import Redactor
from ccnb.results import OUTCOMES
from ccnb.runner.outcome import ACTIONS_FOR_DOCKERS_PROXY, NEXT_ACTIONS, Ending, judge
from ccnb.stream import LineSplitter, Tally, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STREAMS = Path(__file__).parent.parent / "data" / "streams"
ROOT = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons\n"


def recorded(name):
    """Return the tally of a stream that the real agent wrote; of none, for an empty name."""
    tally, lines = Tally(), LineSplitter()
    for offset, line in lines.feed((STREAMS / f"{name}.jsonl").read_bytes()) if name else ():
        event, _ = parse(line, offset=offset, arrived_at=NOW, redactor=Redactor())
        tally.add(event)
    return tally


def made(error=None, **result):
    """Return the tally of a stream whose last lines are these."""
    tally = Tally()
    if error:
        tally.add(Event("assistant", None, NOW, 0, {"error": error, "message": {"model": "<synthetic>"}}))
    tally.add(Event("result", result.get("subtype"), NOW, 1, {"type": "result", **result}))
    return tally


def api_error(kind, status, text="API Error"):
    return made(
        kind,
        subtype="success",
        is_error=True,
        terminal_reason="api_error",
        api_error_status=status,
        result=text,
    )


OK = {"subtype": "success", "is_error": False, "terminal_reason": "completed", "result": "Done."}
ABORTED = {"subtype": "error_during_execution", "is_error": True, "terminal_reason": "aborted_streaming"}

# What was seen in the stream, how the place ended, the outcome, the error's kind, words of its message.
TABLE = {
    "ok": (recorded("demo"), Ending(0), "success", None, ""),
    "cancelled in its check": (
        recorded("demo"),
        Ending(0, unchecked="cancelled"),
        "cancelled",
        "cancelled",
        "check was never done",
    ),
    "gone in its check": (
        recorded("demo"),
        Ending(0, unchecked="lost"),
        "lost",
        "place_lost",
        "check was never done",
    ),
    "kept from its check": (
        recorded("demo"),
        Ending(0, unchecked="agent_error"),
        "agent_error",
        "check_prevented",
        "check was never done",
    ),
    "gone before its result was read": (
        recorded(""),
        Ending(0, fetched=False),
        "lost",
        "place_lost",
        "before all that the agent said was read",
    ),
    "gone after its result was read": (recorded("demo"), Ending(0, fetched=False), "success", None, ""),
    "a tool denied": (recorded("denied"), Ending(0), "success", None, ""),
    "max turns": (recorded("max_turns"), Ending(1), "max_turns", "max_turns", "maximum number of turns (1)"),
    "budget": (recorded("budget"), Ending(1), "budget", "budget", "maximum budget"),
    "budget, by the gateway": (
        api_error("billing_error", 402, "the run has used up the budget"),
        Ending(1, refused="budget"),
        "budget",
        "budget",
        "used up the budget",
    ),
    "budget of tokens": (
        api_error("billing_error", 402, "the run has used up the budget"),
        Ending(1, refused="budget_tokens"),
        "budget",
        "budget_tokens",
        "used up the budget",
    ),
    "API 403": (recorded("refused"), Ending(1), "infrastructure", "authentication_failed", "403"),
    "API 400": (api_error("invalid_request", 400), Ending(1), "infrastructure", "invalid_request", ""),
    "API 429": (api_error("rate_limit", 429), Ending(1), "infrastructure", "rate_limit", ""),
    "API 500": (api_error("server_error", 500), Ending(1), "infrastructure", "server_error", ""),
    "API 529": (api_error("overloaded", 529), Ending(1), "infrastructure", "overloaded", ""),
    "API 529, no word for it": (api_error(None, 529), Ending(1), "infrastructure", "overloaded", ""),
    "billing": (api_error("billing_error", 400), Ending(1), "infrastructure", "billing_error", ""),
    "no credential": (
        recorded("not_logged_in"),
        Ending(1),
        "infrastructure",
        "not_logged_in",
        "Not logged in",
    ),
    "401": (
        api_error("authentication_failed", 401),
        Ending(1),
        "infrastructure",
        "authentication_failed",
        "",
    ),
    "unknown model": (
        recorded("unknown_model"),
        Ending(1, stderr='[claude-code:unrecognized_model] {"model":"x"}\n'),
        "infrastructure",
        "model_not_found",
        "claude-nonesuch",
    ),
    "root": (recorded(""), Ending(1, stderr=ROOT), "infrastructure", "root_refused", "root/sudo"),
    "root, with a result": (
        recorded("startup_root"),
        Ending(1, stderr=ROOT),
        "infrastructure",
        "root_refused",
        "root/sudo",
    ),
    "bad session id": (
        recorded(""),
        Ending(1, stderr="Error: Invalid session ID. Must be a valid UUID.\n"),
        "agent_error",
        "crashed",
        "Invalid session ID",
    ),
    "missing --resume id": (
        recorded("no_session"),
        Ending(1),
        "agent_error",
        "error_during_execution",
        "No conversation found",
    ),
    "SIGINT": (recorded("interrupted"), Ending(0), "agent_error", "aborted_tools", ""),
    "SIGINT by us": (recorded("interrupted"), Ending(0, reason="cancelled"), "cancelled", "cancelled", ""),
    "SIGTERM": (recorded("terminated"), Ending(143), "agent_error", "crashed", "143"),
    "SIGTERM by our limit": (recorded("terminated"), Ending(143, reason="timeout"), "timeout", "timeout", ""),
    "SIGTERM on request": (
        recorded("terminated"),
        Ending(143, reason="cancelled"),
        "cancelled",
        "cancelled",
        "",
    ),
    "SIGTERM by the watchdog": (recorded("terminated"), Ending(143, reason="wedged"), "wedged", "wedged", ""),
    "SIGKILL": (recorded("terminated"), Ending(137), "agent_error", "crashed", "137"),
    "SIGKILL by the kernel": (
        recorded("terminated"),
        Ending(137, out_of_memory=True),
        "agent_error",
        "out_of_memory",
        "",
    ),
    "proxy refuses CONNECT": (
        api_error(None, None, "Couldn't connect through your proxy (ERR_PROXY_TUNNEL)"),
        Ending(1),
        "infrastructure",
        "api_error",
        "ERR_PROXY_TUNNEL",
    ),
    # Older agents (2.0) have neither terminal_reason nor api_error_status.
    "2.0: ok": (made(subtype="success", is_error=False, result="Done."), Ending(0), "success", None, ""),
    "2.0: API error": (
        made(subtype="success", is_error=True, result="API Error: 500"),
        Ending(1),
        "infrastructure",
        "api_error",
        "500",
    ),
    # What only we know.
    "an interrupt, by our limit": (made(**ABORTED), Ending(0, reason="timeout"), "timeout", "timeout", ""),
    "an interrupt, by the watchdog": (made(**ABORTED), Ending(0, reason="wedged"), "wedged", "wedged", ""),
    "a success that came before our limit": (made(**OK), Ending(143, reason="timeout"), "success", None, ""),
    "a success, then a hang": (made(**OK), Ending(143, reason="after_result"), "success", None, ""),
    "a success, then a bad exit": (made(**OK), Ending(3), "agent_error", "exit_code", "3"),
    "a success in a place that vanished": (made(**OK), Ending(None), "success", None, ""),
    "the place vanished": (
        recorded("terminated"),
        Ending(None, detail="no such container"),
        "lost",
        "place_lost",
        "no such container",
    ),
    "the place ran out of memory": (
        recorded(""),
        Ending(None, out_of_memory=True),
        "agent_error",
        "out_of_memory",
        "",
    ),
    "set-up failed": (recorded(""), Ending(None, setup_code=2), "infrastructure", "setup_failed", "2"),
    "no claude": (
        recorded(""),
        Ending(127, stderr="sh: claude: not found\n"),
        "infrastructure",
        "agent_missing",
        "not found",
    ),
    "claude can't run": (recorded(""), Ending(126), "infrastructure", "agent_missing", ""),
    "a crash": (recorded(""), Ending(1, stderr="a\nlast words\n\n"), "agent_error", "crashed", "last words"),
    "the agent says it erred": (
        made(subtype="error_during_execution", is_error=True, errors=["a", "b"]),
        Ending(1),
        "agent_error",
        "error_during_execution",
        "a; b",
    ),
    "a prompt too long": (
        made(subtype="success", is_error=True, terminal_reason="prompt_too_long", result="too long"),
        Ending(1),
        "agent_error",
        "prompt_too_long",
        "too long",
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_the_table(case):
    tally, ending, outcome, kind, words = case
    found, error = judge(tally, ending)
    assert found == outcome
    assert (error.kind if error else None) == kind
    if error:
        assert error.message
        assert words in error.message
        assert error.next_action == NEXT_ACTIONS.get(kind, "")


INJECTED = {
    "authentication_failed": recorded("refused"),
    "billing_error": api_error("billing_error", 400, "Credit balance is too low"),
    "not_logged_in": recorded("not_logged_in"),
}


@pytest.mark.parametrize("kind", ACTIONS_FOR_DOCKERS_PROXY)
def test_who_has_dockers_proxy_add_the_credential_is_told_what_to_do_about_that(kind):
    outcome, error = judge(INJECTED[kind], Ending(1, injected=True))
    assert (outcome, error.kind) == ("infrastructure", kind)
    assert error.next_action == ACTIONS_FOR_DOCKERS_PROXY[kind]
    assert "auth='env'" in error.next_action
    assert judge(INJECTED[kind], Ending(1))[1].next_action == NEXT_ACTIONS[kind]


def test_what_has_nothing_to_do_with_that_proxy_is_told_as_everywhere():
    _, error = judge(recorded("budget"), Ending(1, injected=True))
    assert error.next_action == NEXT_ACTIONS["budget"]


def test_the_status_of_the_api_is_kept():
    _, error = judge(recorded("refused"), Ending(1))
    assert error.api_status == 403
    _, error = judge(recorded("not_logged_in"), Ending(1))
    assert error.api_status is None


def test_a_credential_that_is_refused_while_the_agent_still_tries_is_the_apis_doing():
    tally = Tally()
    tally.add(Event("system", "api_retry", NOW, 0, {"error_status": 401, "error": "authentication_failed"}))
    outcome, error = judge(tally, Ending(143, reason="refused"))
    assert (outcome, error.kind, error.api_status) == ("infrastructure", "authentication_failed", 401)


json_values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@given(
    result=st.none()
    | st.dictionaries(
        st.sampled_from(["subtype", "is_error", "terminal_reason", "api_error_status", "errors", "result"]),
        json_values,
    ),
    ending=st.builds(
        Ending,
        exit_code=st.none() | st.integers(0, 255),
        reason=st.sampled_from(["exit", "timeout", "cancelled", "wedged", "refused", "after_result"]),
        stderr=st.text(max_size=10),
        setup_code=st.sampled_from([0, 0, 1]),
        out_of_memory=st.booleans(),
    ),
)
def test_every_end_has_an_outcome_and_all_but_success_an_error(result, ending):
    outcome, error = judge(Tally() if result is None else made(**result), ending)
    assert outcome in OUTCOMES
    assert (error is None) == (outcome == "success")
    if outcome == "success":
        assert result is not None
        assert result["subtype"] == "success"
        assert not result.get("is_error")
        assert ending.reason != "exit" or not ending.exit_code
