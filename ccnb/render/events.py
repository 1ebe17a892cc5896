"""An event as one compact line: what a person who follows a run wants to see of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from ccnb.events import ApiRetry, Event, ToolUse
from ccnb.render.text import count, duration, harmless, money, one_line

_WIDEST = 400
"""No line is longer, whatever the terminal: the whole is in the store."""

_PATHS = ("file_path", "notebook_path", "path")
_TELLING = ("command", *_PATHS, "pattern", "query", "url", "skill", "description")
"""The keys of a tool's input that say what it does, the most telling first."""

_STATUS_WORDS = {429: "rate limited (429)", 529: "API overloaded (529)"}


def event_lines(event: Event, *, folder: str = "", whole: bool = False) -> Iterator[Text]:
    """Yield what is to be seen of an event: mostly one line, for many kinds none.

    Parameters
    ----------
    folder
        The agent's working folder: paths in it are shown without it.
    whole
        Show the agent's text as it is, on as many lines as it has, instead of its start.
    """
    for line in _lines(event, folder, whole=whole):
        yield Text.assemble("  ", line) if event.parent_tool_use_id else line


def tool_summary(tool: ToolUse, folder: str = "") -> str:
    """Return a tool's input in a few words: the command, the path, the pattern.

    >>> tool_summary(ToolUse("1", "Read", {"file_path": "/w/a.py"}), "/w")
    'a.py'
    """
    for key in _TELLING:
        value = tool.input.get(key)
        if isinstance(value, str) and value:
            within = f"{folder.rstrip('/')}/" if folder else ""
            return one_line(value.removeprefix(within) if key in _PATHS else value, _WIDEST)
    return one_line(json.dumps(dict(tool.input), ensure_ascii=False), _WIDEST) if tool.input else ""


def retry_text(retry: ApiRetry) -> str:
    """Return what the agent waits for.

    >>> retry_text(ApiRetry(2, 10, 1.2, 529, "overloaded"))
    'API overloaded (529), attempt 2 of 10, waiting 1.2 s'
    """
    known = _STATUS_WORDS.get(retry.status or 0)
    status = f" ({retry.status})" if retry.status else ""
    what = known or f"API error{status}: {one_line(retry.error, 80) or 'no answer'}"
    return f"{what}, attempt {retry.attempt} of {retry.max_retries}, waiting {retry.delay_s:.1f} s"


def _lines(event: Event, folder: str, *, whole: bool) -> Iterator[Text]:
    match event.type:
        case "assistant":
            yield from _assistant(event, folder, whole=whole)
        case "user":
            yield from _user(event, whole=whole)
        case "system":
            yield from _system(event)
        case "rate_limit_event":
            yield from _rate_limit(event)
        case "result":
            yield from _result(event)
        case "unparsed":
            yield Text(one_line(event.text, _WIDEST), "dim")
    # Not shown: partial messages, hooks, and the kinds of a later version.


def _system(event: Event) -> Iterator[Text]:
    if event.subtype == "init":
        version = one_line(str(event.raw.get("claude_code_version") or ""), 20)
        model = one_line(event.model or "", 60)
        yield Text(f"claude {version}, model {model}", "dim")
    elif event.retry:
        yield Text(f"↻ {retry_text(event.retry)}", "yellow")
    elif event.denied_tool:
        yield Text(f"✗ {one_line(event.denied_tool, 60)} was denied", "red")
    elif event.subtype == "compact_boundary":
        yield Text("the conversation was compacted", "dim")


def _assistant(event: Event, folder: str, *, whole: bool) -> Iterator[Text]:
    if event.thinking:
        yield Text(f"… {one_line(event.thinking, _WIDEST)}", "dim italic")
    if event.text:
        style = "red" if event.raw.get("error") else ""
        yield Text(harmless(event.text).strip() if whole else one_line(event.text, _WIDEST), style)
    for tool in event.tool_uses:
        summary = tool_summary(tool, folder)
        yield Text.assemble((f"▸ {one_line(tool.name, 60)}", "cyan"), f" {summary}" if summary else "")


def _user(event: Event, *, whole: bool) -> Iterator[Text]:
    for result in event.tool_results:
        if result.is_error:
            text = result.text.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>").strip()
            first = text.partition("\n")[0]
            yield Text(f"✗ {one_line(text if whole else first, _WIDEST) or 'the tool failed'}", "red")


def _result(event: Event) -> Iterator[Text]:
    raw = event.raw
    failed = raw.get("is_error") or event.subtype != "success"
    turns, cost = raw.get("num_turns"), raw.get("total_cost_usd")
    took = raw.get("duration_ms")
    parts = [
        f"{turns} turns" if isinstance(turns, int) else "",
        f"{count(event.usage.total_tokens)} tokens" if event.usage else "",
        money(cost) if isinstance(cost, int | float) else "",
        duration(took / 1000) if isinstance(took, int | float) else "",
    ]
    word = one_line(_failure(raw), _WIDEST) if failed else "the agent is done"
    line = f"{word}: " + ", ".join(part for part in parts if part)
    yield Text(("✗ " if failed else "✓ ") + line, "red" if failed else "green")


def _failure(raw: Mapping[str, Any]) -> str:
    errors = raw.get("errors")
    said = "; ".join(str(e) for e in errors) if isinstance(errors, list) else raw.get("result")
    return str(said or raw.get("subtype") or "the agent failed")


def _rate_limit(event: Event) -> Iterator[Text]:
    status = event.rate_limit.get("status")
    if isinstance(status, str) and status != "allowed":
        yield Text(f"the subscription's limit: {one_line(status, 60)}", "yellow")
