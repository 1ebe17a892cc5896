"""The agent's output: bytes to lines, lines to events, events to what is known of the run.

The format is Claude Code's `--output-format stream-json` (2.1): one JSON object a line. Unknown kinds
and keys are kept, no order is assumed, and a line that is no JSON is an event of type `unparsed`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ccnb.events import Event, Usage
from ccnb.redact import Redactor

_REMEMBERED_MESSAGES = 1024


class LineSplitter:
    """Cut a byte stream, in whatever chunks it comes, into lines with their offsets."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._rest: list[bytes] = []

    @property
    def offset(self) -> int:
        """Return the byte at which the line begins that is not complete yet."""
        return self._offset

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield `(offset, line)` for each line that the chunk completes, without its newline."""
        head, newline, tail = chunk.partition(b"\n")
        if not newline:
            self._rest.append(chunk)
            return
        yield self._line(b"".join([*self._rest, head]), 1)
        *lines, rest = tail.split(b"\n")
        self._rest = [rest]
        for line in lines:
            yield self._line(line, 1)

    def flush(self) -> Iterator[tuple[int, bytes]]:
        """Yield the last line of a stream that ends without a newline."""
        rest = b"".join(self._rest)
        self._rest = []
        if rest:
            yield self._line(rest, 0)

    def _line(self, line: bytes, newline: int) -> tuple[int, bytes]:
        offset = self._offset
        self._offset += len(line) + newline
        return offset, line


def parse(line: bytes, *, offset: int, arrived_at: datetime, redactor: Redactor) -> tuple[Event, str] | None:
    """Return a line's event and the JSON text to keep of it, both redacted; `None` for a blank line.

    Bytes that are no UTF-8 survive: they become lone surrogates, which JSON text writes as escapes.
    """
    if not line.strip():
        return None
    raw, kept = _redacted(line.decode("utf-8", errors="surrogateescape"), redactor)
    event = Event(
        type=_word(raw.get("type")) or "unknown",
        subtype=_word(raw.get("subtype")),
        arrived_at=arrived_at,
        offset=offset,
        raw=raw,
    )
    return event, kept


def _redacted(text: str, redactor: Redactor) -> tuple[dict[str, Any], str]:
    """Return the message that a line holds, and its JSON text."""
    clean = redactor.text(text)
    raw = _load(clean)
    if raw is not None and "\\u" not in clean and "\\/" not in clean:
        return raw, clean if clean.isascii() else _utf8(clean, raw)
    # A vendor's token may hide behind escapes that no usual writer makes. And a mask put into text breaks
    # the JSON where the secret was a number, or had quotes and stood across two strings.
    raw = raw or _load(text)
    if raw is not None:
        with suppress(RecursionError):
            raw = redactor.value(raw)
            kept = json.dumps(raw)
            if redactor.text(kept) == kept:
                return raw, kept
    raw = {"type": "unparsed", "text": clean}
    return raw, json.dumps(raw)


def _load(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _utf8(text: str, raw: dict[str, Any]) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(raw)
    return text


def _word(value: Any) -> str | None:
    """Return a string that any column and screen can take: without lone surrogates."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


@dataclass
class Tally:
    """What the events so far say of the run. Feed it each event once, in order."""

    count: int = 0
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    session_id: str | None = None
    model: str | None = None
    agent_version: str | None = None
    first_at: datetime | None = None
    """When the first event was made, as well as can be told."""
    result: Event | None = None
    text: str = ""
    api_error: str | None = None
    """The `error` word of the last synthetic assistant message."""
    retry_status: int | None = None
    """The HTTP status of the retry that the agent waits for; `None` when it doesn't wait."""
    denials: list[str] = field(default_factory=list)
    tools_s: float = 0.0
    open_tools: dict[str, datetime] = field(default_factory=dict)
    _messages: OrderedDict[str, Usage] = field(default_factory=OrderedDict)
    _tools_since: datetime | None = None

    def add(self, event: Event) -> None:
        """Take one more event into account."""
        self.count += 1
        # By the agent's clock where it gives a time: one who attaches late sees all arrive at once.
        self.first_at = event.at if self.first_at is None else min(self.first_at, event.at)
        self.session_id = event.session_id or self.session_id
        self.retry_status = event.retry.status if event.retry else None
        if event.type == "system":
            self._add_system(event)
        elif event.type == "assistant":
            self._add_assistant(event)
        elif event.type == "user":
            for result in event.tool_results:
                self._close_tool(result.tool_use_id, event.at)
        elif event.type == "result":
            self.result = event
            self.text = event.text or self.text

    @property
    def final_usage(self) -> Usage:
        """Return the agent's own sum where it gave one, else ours."""
        return (self.result.usage if self.result else None) or self.usage

    def _add_system(self, event: Event) -> None:
        if event.subtype == "init":
            self.model = event.model or self.model
            version = event.raw.get("claude_code_version")
            self.agent_version = version if isinstance(version, str) else self.agent_version
        elif event.denied_tool:
            self.denials.append(event.denied_tool)

    def _add_assistant(self, event: Event) -> None:
        error = event.raw.get("error")
        self.api_error = error if isinstance(error, str) else None
        if event.parent_tool_use_id is None:
            self.text = event.text or self.text
        for tool in event.tool_uses:
            if not self.open_tools:
                self._tools_since = event.at
            self.open_tools[tool.id] = event.at
        self._count_usage(event)

    def _count_usage(self, event: Event) -> None:
        """Count a message once, however many blocks and events it comes in: its latest usage stands."""
        message_id, usage = event.message_id, event.usage
        if message_id is None or usage is None:
            return
        before = self._messages.pop(message_id, Usage())
        self._messages[message_id] = usage
        self.usage = Usage(
            **{n: getattr(self.usage, n) + getattr(usage, n) - getattr(before, n) for n in Usage.__slots__}
        )
        if len(self._messages) > _REMEMBERED_MESSAGES:
            self._messages.popitem(last=False)

    def _close_tool(self, tool_use_id: str, at: datetime) -> None:
        """End a tool call; time in which several tools run at once counts once."""
        if self.open_tools.pop(tool_use_id, None) is None or self.open_tools or self._tools_since is None:
            return
        self.tools_s += max(0.0, (at - self._tools_since).total_seconds())
        self._tools_since = None
