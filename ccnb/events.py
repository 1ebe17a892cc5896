"""What an agent says: one event for each message of its stream, with what is read out of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self


@dataclasses.dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent calls a tool."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back."""

    tool_use_id: str
    text: str
    is_error: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ApiRetry:
    """The agent waits before it asks the API again."""

    attempt: int
    max_retries: int
    delay_s: float
    status: int | None
    error: str


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One parsed stream-json message (contract: Claude Code 2.1, `--output-format stream-json`).

    A kind that is not known keeps its `type`, and all it holds in `raw`. A line that is no JSON object
    has the type `unparsed` and its text in `raw["text"]`.
    """

    type: str
    subtype: str | None
    arrived_at: datetime
    """When it reached us; aware UTC."""
    offset: int
    """The byte of the output at which its line begins."""
    raw: Mapping[str, Any]
    """The message as received, redacted."""

    @property
    def at(self) -> datetime:
        """Return the agent's own timestamp where it gives one, else the arrival."""
        stamp = self.raw.get("timestamp")
        if isinstance(stamp, str):
            try:
                at = datetime.fromisoformat(stamp)
                return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
            except (ValueError, OverflowError):
                return self.arrived_at
        return self.arrived_at

    @property
    def session_id(self) -> str | None:
        """Return Claude's session id."""
        return _text(self.raw.get("session_id"))

    @property
    def message_id(self) -> str | None:
        """Return the API message's id: the same for every block of one message."""
        return _text(self._message.get("id"))

    @property
    def model(self) -> str | None:
        """Return the model that `system/init` or an assistant message names."""
        return _text(self.raw.get("model")) or _text(self._message.get("model"))

    @property
    def parent_tool_use_id(self) -> str | None:
        """Return the tool use that this event's sub-agent serves."""
        return _text(self.raw.get("parent_tool_use_id"))

    @property
    def text(self) -> str:
        """Return what the agent says here: text blocks, or the final answer of a `result`."""
        if self.type == "result":
            return _text(self.raw.get("result")) or ""
        if self.type == "unparsed":
            return _text(self.raw.get("text")) or ""
        return "".join(b["text"] for b in self._blocks("text") if isinstance(b.get("text"), str))

    @property
    def thinking(self) -> str:
        """Return the thinking that the event shows."""
        blocks = self._blocks("thinking")
        return "".join(b["thinking"] for b in blocks if isinstance(b.get("thinking"), str))

    @property
    def tool_uses(self) -> list[ToolUse]:
        """Return the tool calls in an `assistant` event."""
        return [
            ToolUse(str(b.get("id")), str(b.get("name")), _mapping(b.get("input")))
            for b in self._blocks("tool_use")
        ]

    @property
    def tool_results(self) -> list[ToolResult]:
        """Return the tool results in a `user` event."""
        return [
            ToolResult(str(b.get("tool_use_id")), _content_text(b.get("content")), bool(b.get("is_error")))
            for b in self._blocks("tool_result")
        ]

    @property
    def usage(self) -> Usage | None:
        """Return the tokens of an `assistant` message (of the whole run, for a `result`)."""
        usage = self.raw.get("usage") if self.type == "result" else self._message.get("usage")
        return Usage.from_api(usage) if isinstance(usage, Mapping) else None

    @property
    def retry(self) -> ApiRetry | None:
        """Return the details of a `system/api_retry`."""
        if self.subtype != "api_retry":
            return None
        raw = self.raw
        return ApiRetry(
            attempt=_int(raw.get("attempt")),
            max_retries=_int(raw.get("max_retries")),
            delay_s=_float(raw.get("retry_delay_ms")) / 1000,
            status=raw["error_status"] if isinstance(raw.get("error_status"), int) else None,
            error=_text(raw.get("error")) or "",
        )

    @property
    def denied_tool(self) -> str | None:
        """Return the name of the tool that `system/permission_denied` refused."""
        return _text(self.raw.get("tool_name")) if self.subtype == "permission_denied" else None

    @property
    def delta(self) -> Mapping[str, Any]:
        """Return the raw server event inside a `stream_event` (with `--include-partial-messages`)."""
        return _mapping(self.raw.get("event")) if self.type == "stream_event" else {}

    @property
    def rate_limit(self) -> Mapping[str, Any]:
        """Return what a `rate_limit_event` says of a subscription's limits."""
        return _mapping(self.raw.get("rate_limit_info"))

    @property
    def _message(self) -> Mapping[str, Any]:
        return _mapping(self.raw.get("message"))

    def _blocks(self, kind: str) -> list[Mapping[str, Any]]:
        content = self._message.get("content")
        if isinstance(content, str):
            return [{"text": content}] if kind == "text" else []
        blocks = content if isinstance(content, list) else []
        return [b for b in blocks if isinstance(b, Mapping) and b.get("type") == kind]


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a message or of a whole run."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0

    @classmethod
    def from_api(cls, usage: Mapping[str, Any]) -> Self:
        """Take the four counts from the API's `usage` object; others are left."""
        return cls(**{f.name: _int(usage.get(f.name)) for f in dataclasses.fields(cls)})

    def __add__(self, other: Usage) -> Usage:
        names = [f.name for f in dataclasses.fields(self)]
        return Usage(**{n: getattr(self, n) + getattr(other, n) for n in names})

    @property
    def total_tokens(self) -> int:
        """Return the sum of all four."""
        return sum(dataclasses.astuple(self))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _content_text(content: Any) -> str:
    """Return the text of a tool result, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(b["text"]) for b in blocks if isinstance(b, Mapping) and "text" in b)


def _int(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
