"""What the supervisor has noted so far (format: data/supervisor.sh)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ccnb.spec import RunSpec

NAMES = frozenset({"relay", "started", "workspace", "setup", "agent", "check", "finished"})
"""All that the supervisor notes."""


def last_step(spec: RunSpec) -> str:
    """Return the last step of a run but the supervisor's own end."""
    return "check" if spec.check else "agent"


@dataclass(frozen=True)
class Step:
    """A thing that came to pass in the place."""

    name: str
    at: float
    """Unix seconds by the place's clock."""
    code: int
    reason: str


@dataclass
class Steps:
    """The supervisor's notes, in whatever pieces they come."""

    done: dict[str, Step] = field(default_factory=dict)
    _rest: bytes = b""

    def feed(self, chunk: bytes) -> list[Step]:
        """Take a piece of the file; return the steps that it completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        new = [step for line in lines if (step := _parse(line)) is not None]
        self.done |= {step.name: step for step in new}
        return new

    def are_over(self, last: str) -> bool:
        """Return whether nothing more can come to pass in a run with such a last step."""
        return last in self.done or "finished" in self.done

    def at(self, name: str) -> float | None:
        """Return when a step ended, or `None`."""
        return self.done[name].at if name in self.done else None

    def __contains__(self, name: str) -> bool:
        return name in self.done


def _parse(line: bytes) -> Step | None:
    """Return a line's step; `None` for one that the supervisor can't have written."""
    try:
        name, at, code, reason = line.decode().split()
        step = Step(name, float(at), int(code), reason)
    except ValueError:
        return None
    return step if math.isfinite(step.at) and name in NAMES else None
