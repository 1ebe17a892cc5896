"""Events as lines."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from ccnb.events import Event
from ccnb.render import event_lines


def event(kind, **raw):
    return Event(kind, raw.get("subtype"), datetime.now(UTC), 0, {"type": kind, **raw})


def assistant(*blocks, **more):
    return event("assistant", message={"id": "m", "content": list(blocks)}, **more)


def tool(name, **given):
    return assistant({"type": "tool_use", "id": "t", "name": name, "input": given})


def tool_result(text, *, is_error):
    block = {"type": "tool_result", "tool_use_id": "t", "content": text, "is_error": is_error}
    return event("user", message={"content": [block]})


def lines(value, **options):
    return [line.plain for line in event_lines(value, **options)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (assistant({"type": "text", "text": "I look.\nThen I act."}), ["I look. Then I act."]),
        (assistant({"type": "thinking", "thinking": "hm"}), ["… hm"]),
        (tool("Bash", command="ls -l\nwc", description="List"), ["▸ Bash ls -l wc"]),
        (tool("Write", file_path="/workspace/src/a.py", content="x"), ["▸ Write src/a.py"]),
        (tool("Write", file_path="/workspaces/a.py", content="x"), ["▸ Write /workspaces/a.py"]),
        (tool("Grep", pattern="def f", output_mode="count"), ["▸ Grep def f"]),
        (tool("TodoWrite", todos=[{"content": "a"}]), ['▸ TodoWrite {"todos": [{"content": "a"}]}']),
        (tool("ExitPlanMode"), ["▸ ExitPlanMode"]),
        (tool_result("fine", is_error=False), []),
        (tool_result("Exit code 2\nsh: no such file", is_error=True), ["✗ Exit code 2"]),
        (tool_result("<tool_use_error>Not read</tool_use_error>", is_error=True), ["✗ Not read"]),
        (
            event("system", subtype="permission_denied", tool_name="Bash", message="no"),
            ["✗ Bash was denied"],
        ),
        (
            event(
                "system",
                subtype="api_retry",
                attempt=2,
                max_retries=10,
                retry_delay_ms=1234,
                error_status=529,
                error="overloaded",
            ),
            ["↻ API overloaded (529), attempt 2 of 10, waiting 1.2 s"],
        ),
        (
            event(
                "system",
                subtype="api_retry",
                attempt=1,
                max_retries=10,
                retry_delay_ms=500,
                error_status=None,
                error="unknown",
            ),
            ["↻ API error: unknown, attempt 1 of 10, waiting 0.5 s"],
        ),
        (
            event("system", subtype="init", model="claude-x", claude_code_version="2.1"),
            ["claude 2.1, model claude-x"],
        ),
        (
            event(
                "result",
                subtype="success",
                is_error=False,
                num_turns=3,
                total_cost_usd=0.0123,
                duration_ms=4500,
                usage={"input_tokens": 1000, "output_tokens": 234},
            ),
            ["✓ the agent is done: 3 turns, 1,234 tokens, $0.0123, 4.50 s"],
        ),
        (
            event(
                "result", subtype="error_max_turns", is_error=True, errors=["Reached maximum"], num_turns=1
            ),
            ["✗ Reached maximum: 1 turns"],
        ),
        (event("rate_limit_event", rate_limit_info={"status": "allowed"}), []),
        (
            event("rate_limit_event", rate_limit_info={"status": "rejected"}),
            ["the subscription's limit: rejected"],
        ),
        (event("unparsed", text="npm warn old"), ["npm warn old"]),
        (event("stream_event", event={"type": "ping"}), []),
        (event("something_new", data=1), []),
    ],
)
def test_lines(value, expected):
    assert lines(value, folder="/workspace") == expected


def test_the_whole_text_keeps_its_lines():
    assert lines(assistant({"type": "text", "text": "a\nb"}), whole=True) == ["a\nb"]


def test_a_subagents_events_are_set_in():
    value = assistant({"type": "text", "text": "inner"}, parent_tool_use_id="t")
    assert lines(value) == ["  inner"]


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eabc [red]x[/red] :smile:"


@pytest.mark.parametrize(
    "value",
    [
        assistant({"type": "text", "text": EVIL}),
        assistant({"type": "thinking", "thinking": EVIL}),
        tool(EVIL, command=EVIL),
        tool("X", other={EVIL: EVIL}),
        tool_result(EVIL, is_error=True),
        event("system", subtype="permission_denied", tool_name=EVIL),
        event("system", subtype="init", model=EVIL, claude_code_version=EVIL),
        event("system", subtype="api_retry", error=EVIL),
        event("result", subtype="error_during_execution", is_error=True, errors=[EVIL]),
        event("rate_limit_event", rate_limit_info={"status": EVIL}),
        event("unparsed", text=EVIL),
    ],
)
def test_control_characters_are_harmless_in_a_terminal(value):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, markup=False, emoji=False, width=300)
    for line in event_lines(value, whole=True):
        console.print(line)
    shown = out.getvalue()
    assert shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert ":smile:" in shown or ":smi" not in shown, "nothing of it is taken for markup"


@pytest.mark.parametrize("kind", ["assistant", "user", "system", "result", "rate_limit_event", "unparsed"])
@pytest.mark.parametrize("raw", [{}, {"message": None}, {"message": {"content": [None, 3]}}, {"usage": []}])
def test_an_event_of_any_shape_can_be_shown(kind, raw):
    lines(event(kind, **raw))
