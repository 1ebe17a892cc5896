"""What a run gives: timings, files, the check's verdict, and the plain record of a finished run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from ccnb.events import Usage
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
    count: int = 1
    """How many there were like it: a proxy that isn't ours may sum them up, and tell the last one's time."""

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
        refusals = sum(c.count for c in refused)
        return cls(sum(c.count for c in connections) - refusals, refusals, hosts)

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
    usage: Usage = dataclasses.field(default_factory=Usage)
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
    """What came of the list of hosts in `spec.network`; `None` without one, or where that isn't known."""
    denials: tuple[str, ...] = ()
    """Names of the tools whose use was refused."""
    warnings: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the run ran on: image digest, agent version, model, engine, concurrency."""

    @property
    def is_error(self) -> bool:
        """Return whether the run ended in anything but success."""
        return self.outcome != "success"

    @property
    def machine_usd(self) -> float | None:
        """Return what the place itself cost, by a table of prices; `None` where it costs nothing."""
        usd: float | None = self.conditions.get("machine_usd")
        return usd

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
