"""What is measured: each figure's name, its unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One kind of number."""

    name: str
    unit: str
    better: Better = "lower"


FIRST = Figure("first event", "s")
RESULT = Figure("result event of a task", "s")
RETURNED = Figure("a task until its call returns", "s")
GONE = Figure("a task until nothing is left", "s")
SHARE = Figure("own share of a task", "ms")
GATEWAY = Figure("a task behind our gateway", "s")
LATENCY = Figure("event latency, median", "ms")
LATENCY_P95 = Figure("event latency, p95", "ms")
FLOOD = Figure("log throughput", "lines/s", "higher")
MEMORY = Figure("client memory in a flood", "MB")
OUTPUT = Figure("output of two commands", "s")
ALL_OF_A_RUN = Figure("all figures of a run", "")
EXEC = Figure("one more command", "ms")
RUNS_FRAME = Figure("frame of runs", "ms")
EVENTS_FRAME = Figure("frame of events", "ms")
IMPORT = Figure("import", "ms")
USE = Figure("import of what is used", "ms")
FRAMES = (RUNS_FRAME, EVENTS_FRAME)
RUN = (FIRST, RESULT, RETURNED, GONE, SHARE, LATENCY, LATENCY_P95, FLOOD, MEMORY)
"""What a run has, in whatever place."""


def at_once(runs: int) -> Figure:
    """Return the figure of so many runs begun together."""
    return Figure(f"{runs} at once", "s")
