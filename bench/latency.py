"""How long an event takes from its line in the place to `on_event`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import ccnb
from bench import double
from bench.report import Figure
from ccnb.events import Event

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


# As fast as it can: all the other run has is what this one leaves.
CHATTER_LINES = 300_000
_LINE = '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"a line of many"}]}}'
CHATTER = (
    f"""init; awk -v line='{_LINE}' 'BEGIN {{ for (i = 0; i < {CHATTER_LINES}; i++) print line }}'; result"""
)


def figures() -> Iterator[Figure]:
    """Yield the 95th percentile of each mode, and of a run beside one that writes without a pause."""
    for mode in ("docker", "podman", "local"):
        name = f"event delivered, p95, {mode}"
        if (why := double.missing(mode)) is not None:
            yield Figure.absent(name, "ms", why)
            continue
        p95, detail = _describe(_delays(mode))
        yield Figure.below(name, p95, "ms", LIMIT_MS, f"{detail}; one line each 30 ms")
    if double.missing("local") is None:
        handle = ccnb.start("Chatter", **double.options("local", CHATTER))
        p95, detail = _describe(_delays("local"))
        detail += f"; the other wrote {CHATTER_LINES:,} lines without a pause"
        handle.result().raise_for_error()
        yield Figure("event delivered, p95, beside a chatterer", p95, "ms", detail=detail)


def _describe(took: list[float]) -> tuple[float, str]:
    p95 = statistics.quantiles(took, n=20)[18]
    return p95, f"{len(took)} lines; p50 {statistics.median(took):.1f} ms, longest {max(took):.1f} ms"


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
