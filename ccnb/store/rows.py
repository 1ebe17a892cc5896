"""What the store knows of a run, and what a process needs to go on with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from ccnb.results import RunRecord
from ccnb.spec import RunSpec
from ccnb.store.folders import RunFolder


@dataclass
class Progress:
    """What a process that attaches to a run must know to go on where another one stopped."""

    marks: dict[str, float] = field(default_factory=dict)
    """Unix seconds at which each phase ended."""
    conditions: dict[str, Any] = field(default_factory=dict)
    attempted: bool = False
    """A place may have been made, even if none is written down."""
    baseline: str | None = None
    """The workspace before the agent, as a tree of the run's private git folder."""
    warnings: list[str] = field(default_factory=list)
    stop_reason: str | None = None
    """Why we asked the agent to end: `cancelled`, `wedged`, `refused`, `after_result`."""
    archive: bool = False
    """Files go in and out as archives, because the place can't see the caller's folders."""

    def mark(self, name: str) -> None:
        """Note when something happened; the first time counts."""
        self.marks.setdefault(name, time.time())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from JSON; keys that are not known are left."""
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in data.items() if k in names})


@dataclass(frozen=True)
class RunRow:
    """A run as the store knows it, finished or not."""

    run_id: str
    mode: str
    state: str
    outcome: str | None
    created_at: datetime
    ended_at: datetime | None
    spec: RunSpec
    progress: Progress
    offset: int
    digest: bytes
    record: RunRecord | None
    folder: RunFolder
