"""How long an event takes from its line in the place to `on_event`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import ccnb
from bench import double
from bench.report import Figure
from ccnb.results import Event

LIMIT_MS = 20
LINES = 200
# The place's clock is this machine's; reading it costs a process, which counts against us.
COMMANDS = f"""
init; i=0
while [ $i -lt {LINES} ]; do
    i=$((i + 1)); t=$(date +%s.%N); echo '{{"type":"system","subtype":"tick","t":'$t'}}'; sleep 0.03
done
result
"""


def figures() -> Iterator[Figure]:
    """Yield the 95th percentile of each mode."""
    for mode in ("docker", "podman", "local"):
        if (why := double.missing(mode)) is not None:
            yield Figure(f"event delivered, p95, {mode}", float("nan"), "ms", detail=why)
            continue
        took = _delays(mode)
        p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[18]
        detail = f"{len(took)} lines, one each 30 ms; p50 {p50:.1f} ms, longest {max(took):.1f} ms"
        yield Figure.below(f"event delivered, p95, {mode}", p95, "ms", LIMIT_MS, detail)


def _delays(mode: str) -> list[float]:
    took: list[float] = []

    def on_event(event: Event) -> None:
        now = time.time()
        if event.subtype == "tick":
            took.append((now - event.raw["t"]) * 1000)

    result = ccnb.run("Tick", on_event=on_event, **double.options(mode, COMMANDS))
    assert result.outcome == "success", result.error
    assert len(took) == LINES, len(took)
    return took
