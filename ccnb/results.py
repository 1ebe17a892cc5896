"""What a run gives: events, usage, timings, and the plain record of a finished run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from ccnb.spec import RunSpec

OUTCOMES = (
    "success",
    "agent_error",
    "max_turns",
    "budget",
    "timeout",
    "cancelled",
    "wedged",
    "lost",
    "infrastructure",
)
"""How a run can end. The check's verdict is apart from it: `RunRecord.check.passed`."""

STATES = ("preparing", "starting", "running", "checking", "collecting", "done")

_VERSION = 1
_MOST_HOSTS = 8


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
            return [{"type": "text", "text": content}] if kind == "text" else []
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


PHASES = (
    "image_s",
    "create_s",
    "start_s",
    "setup_s",
    "first_event_s",
    "agent_s",
    "check_s",
    "collect_s",
)
"""The phases of a run in their order; together they are its wall time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Timings:
    """Seconds by phase. The phases from `image_s` to `collect_s` follow each other without a gap."""

    image_s: float = 0.0
    """Find, pull or build the image."""
    create_s: float = 0.0
    """Make the place and bring the files in."""
    start_s: float = 0.0
    """From the order to start until the supervisor runs."""
    setup_s: float = 0.0
    first_event_s: float = 0.0
    """From the agent's start to its first event."""
    agent_s: float = 0.0
    """From the first event to the agent's end."""
    check_s: float = 0.0
    collect_s: float = 0.0
    """From the end in the place until the result is in hand."""
    cleanup_s: float | None = None
    """Removal of the place, which goes on behind the result; `None` until it is done."""
    model_s: float = 0.0
    """Of `agent_s`: the model at work, as the gateway measured it; without that, all in which no tool was."""
    tools_s: float = 0.0
    """Of `agent_s`: tools at work."""

    @property
    def wall_s(self) -> float:
        """Return the time from the call until the result is in hand."""
        return float(sum(getattr(self, name) for name in PHASES))


@dataclasses.dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict of the check command."""

    command: str
    exit_code: int
    output: str
    """The end of what it printed, redacted."""

    @property
    def passed(self) -> bool:
        """Return whether its exit code was 0."""
        return self.exit_code == 0


@dataclasses.dataclass(frozen=True, slots=True)
class FileChange:
    """A file that the run made, changed or removed."""

    path: str
    """Relative to the workspace."""
    change: str
    """`made`, `changed` or `removed`."""
    size_bytes: int = 0
    runs_by_itself: bool = False
    """Programs run such a file without being asked (a git hook, `.envrc`, an editor's tasks)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """One connection that something in the place asked the egress proxy for."""

    at: datetime
    """When it was asked for; aware UTC."""
    host: str
    """As it was asked for."""
    port: int
    allowed: bool
    """Whether the run's network policy let it through."""
    reason: str
    """Why it was refused, or what became of it: `open`, `unreachable: ...`."""
    bytes_up: int | None = None
    """Out of the place; `None` while it is open."""
    bytes_down: int | None = None
    duration_s: float | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from JSON."""
        values = _known(cls, data)
        return cls(**values | {"at": datetime.fromisoformat(values["at"])})


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkUse:
    """What came of a run's list of hosts, in short."""

    allowed: int = 0
    """Connections that were let through."""
    refused: int = 0
    refused_hosts: tuple[str, ...] = ()
    """The first few that were refused, as `host:port`, each once."""

    @classmethod
    def of(cls, connections: Sequence[Connection]) -> Self:
        """Sum connections up."""
        refused = [c for c in connections if not c.allowed]
        hosts = tuple(dict.fromkeys(f"{c.host}:{c.port}" for c in refused))[:_MOST_HOSTS]
        return cls(len(connections) - len(refused), len(refused), hosts)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from JSON."""
        values = _known(cls, data)
        return cls(**values | {"refused_hosts": tuple(values.get("refused_hosts", ()))})


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a run ended badly."""

    kind: str
    """The API's or the agent's own word (`rate_limit`, `crashed`, ...)."""
    message: str
    next_action: str = ""
    api_status: int | None = None

    def __str__(self) -> str:
        return f"{self.message}; {self.next_action}" if self.next_action else self.message


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that is kept of a finished run beside its events and files; a plain value."""

    run_id: str
    mode: str
    spec: RunSpec
    outcome: str
    started_at: datetime
    text: str = ""
    """The agent's final answer."""
    usage: Usage = Usage()
    timings: Timings = Timings()
    files: tuple[FileChange, ...] = ()
    check: CheckResult | None = None
    exit_code: int | None = None
    error: ErrorInfo | None = None
    session_id: str | None = None
    num_turns: int = 0
    total_cost_usd: float = 0.0
    """A list-price estimate by the agent itself, for subscriptions too."""
    network_use: NetworkUse | None = None
    """What came of the list of hosts in `spec.network`; `None` without one."""
    denials: tuple[str, ...] = ()
    """Names of the tools whose use was refused."""
    warnings: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the run ran on: image digest, agent version, model, engine, concurrency."""

    @property
    def is_error(self) -> bool:
        """Return whether the run ended in anything but success."""
        return self.outcome != "success"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(RunRecord)}
        data |= {n: _plain(data[n]) for n in ("usage", "timings", "check", "error", "network_use")}
        data |= {
            "version": _VERSION,
            "spec": self.spec.to_dict(),
            "started_at": self.started_at.isoformat(),
            "files": [dataclasses.asdict(f) for f in self.files],
            "denials": list(self.denials),
            "warnings": list(self.warnings),
            "conditions": dict(self.conditions),
        }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a record from what `to_dict` gave, in this version or an older one."""
        values = _known(cls, data)
        values |= {
            "spec": RunSpec.from_dict(data["spec"]),
            "started_at": datetime.fromisoformat(data["started_at"]),
            "usage": Usage(**_known(Usage, data.get("usage") or {})),
            "timings": Timings(**_known(Timings, data.get("timings") or {})),
            "files": tuple(FileChange(**_known(FileChange, f)) for f in data.get("files", ())),
            "check": CheckResult(**_known(CheckResult, data["check"])) if data.get("check") else None,
            "error": ErrorInfo(**_known(ErrorInfo, data["error"])) if data.get("error") else None,
            "network_use": NetworkUse.from_dict(data["network_use"]) if data.get("network_use") else None,
            "denials": tuple(data.get("denials", ())),
            "warnings": tuple(data.get("warnings", ())),
        }
        return cls(**values)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the fields that this version knows, so that a newer record still loads."""
    names = {f.name for f in dataclasses.fields(cls)}
    return {k: v for k, v in data.items() if k in names}


def _plain(value: Any) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _content_text(content: Any) -> str:
    """Return the text of a tool result, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(b["text"]) for b in blocks if isinstance(b, Mapping) and "text" in b)
