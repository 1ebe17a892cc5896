"""A run's conversation as HTML, piece by piece: text as Markdown, tools and thinking folded, edits coloured.

What comes from the agent is escaped, and bounded: the whole is in the store.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ccnb.events import Event, ToolResult, ToolUse
from ccnb.render import html
from ccnb.render.ansi import ansi
from ccnb.render.events import event_lines, tool_summary
from ccnb.render.text import one_line

_MOST_TEXT = 8_000
_MOST_DIFF = 200
_HEAD = 160
_MONO = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.9em"
_EDITS = ("old_string", "new_string")


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of a conversation, as HTML."""

    kind: str
    """`text`, `thinking`, `tool`, `result` or `note`."""
    head: str
    """What is always seen."""
    body: str = ""
    """What is folded below it; empty where there is nothing to fold."""
    tool_use_id: str = ""
    """The call that this is, or whose result it is."""
    failed: bool = False


def items(event: Event, *, folder: str = "") -> Iterator[Item]:
    """Yield what is to be seen of an event; for many kinds nothing.

    Parameters
    ----------
    folder
        The agent's working folder: paths in it are shown without it.
    """
    if event.type == "assistant" and not event.raw.get("error"):
        if event.thinking:
            head = f"<i>… {html.escaped(one_line(event.thinking, _HEAD))}</i>"
            yield Item("thinking", head, _pre(event.thinking))
        if event.text.strip():
            yield Item("text", html.markdown(event.text, most=_MOST_TEXT))
        yield from (_call(use, folder) for use in event.tool_uses)
    elif event.type == "user" and event.tool_results:
        yield from (_answer(result) for result in event.tool_results)
    else:
        for line in event_lines(event, folder=folder):
            yield Item("note", html.coloured(line.plain, str(line.style)))


def conversation(pieces: Iterable[Item]) -> str:
    """Return pieces below each other as HTML that needs no script; a result is within its call."""
    shown: list[Item] = []
    calls: dict[str, int] = {}
    for piece in pieces:
        at = calls.get(piece.tool_use_id, -1) if piece.kind == "result" else -1
        if at >= 0:
            call = shown[at]
            head = f"{call.head} {html.coloured('✗', 'red')}" if piece.failed else call.head
            shown[at] = replace(call, head=head, body=f"{call.body}{_titled(piece)}")
            continue
        if piece.kind == "tool":
            calls[piece.tool_use_id] = len(shown)
        shown.append(piece)
    return "".join(map(_piece, shown))


def _piece(piece: Item) -> str:
    if not piece.body:
        return f"<div>{piece.head}</div>"
    return f"<details><summary>{piece.head}</summary>{piece.body}</details>"


def _titled(result: Item) -> str:
    return f"<div>{result.head}</div>{result.body}"


def _call(use: ToolUse, folder: str) -> Item:
    summary = html.escaped(one_line(tool_summary(use, folder), _HEAD))
    name = html.coloured(one_line(use.name, 60), "cyan")
    return Item("tool", f"{name} {summary}".strip(), _input(use), use.id)


def _input(use: ToolUse) -> str:
    """Return what a tool was given: an edit as a diff, a command as it is, all else as JSON."""
    given = use.input
    old, new = (given.get(key) for key in _EDITS)
    if isinstance(old, str) and isinstance(new, str):
        return _diff(old, new)
    if isinstance(content := given.get("content"), str) and isinstance(given.get("file_path"), str):
        return _diff("", content)
    if isinstance(command := given.get("command"), str):
        return _pre(command)
    return _pre(json.dumps(dict(given), ensure_ascii=False, indent=1)) if given else ""


def _answer(result: ToolResult) -> Item:
    text = result.text.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>").strip("\n")
    mark = html.coloured("✗", "red") if result.is_error else html.coloured("✓", "green")
    first = html.escaped(one_line(text.partition("\n")[0], _HEAD))
    lines = text.count("\n") + 1
    more = f" <i>and {lines - 1:,} more lines</i>" if lines > 1 else ""
    head = f"{mark} {first}{more}" if text else f"{mark} <i>no output</i>"
    return Item("result", head, _pre(text) if lines > 1 else "", result.tool_use_id, result.is_error)


def _diff(old: str, new: str) -> str:
    before, after = old[:_MOST_TEXT].splitlines(), new[:_MOST_TEXT].splitlines()
    lines = list(difflib.unified_diff(before, after, n=3, lineterm=""))[2:]
    cut = len(lines) - _MOST_DIFF
    rest = [f"… {cut:,} more lines"] if cut > 0 else []
    rest += ["… and more"] if len(old) > _MOST_TEXT or len(new) > _MOST_TEXT else []
    return f'<div style="{_MONO}">{html.diff([*lines[:_MOST_DIFF], *rest])}</div>'


def _pre(text: Any) -> str:
    """Return the end of a text as it is, with a terminal's colours."""
    cut = text[-_MOST_TEXT:]
    less = f"<i>{len(text) - len(cut):,} characters before</i>\n" if len(text) > len(cut) else ""
    return f'<div style="{_MONO};max-height:24em;overflow:auto">{less}{ansi(cut)}</div>'
