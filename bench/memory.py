"""What much output takes of the client: its memory, its time, and that nothing of it is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import ccnb
from bench import client, double
from bench.report import Figure

LINES = 1_000_000
LIMIT_MB = 50
_LINE = r'{"type":"assistant","message":{"id":"m%d","content":[{"type":"text","text":"line %d"}]},"n":%d}\n'


@dataclass(frozen=True)
class Taken:
    """What one run took of its client."""

    growth_mb: float
    """From before the run to its highest point."""
    left_mb: float
    """From before the run to after it."""
    run_s: float
    kept: int
    """Events in the store, each exactly once and in order."""


def figures() -> Iterator[Figure]:
    """Yield the growth for a million lines, in the modes that are here, and for one long line."""
    for mode in ("local", "docker"):
        if (why := double.missing(mode)) is not None:
            yield Figure.absent(f"client's growth, {LINES:,} lines, {mode}", "MB", why)
            continue
        for lines, size in ((LINES, f"{LINES:,} lines"), (LINES // 5, f"{LINES // 5:,} lines")):
            taken = client.in_own_process(_many_lines, mode, lines)
            name = f"client's growth, {size}, {mode}"
            yield Figure.below(name, taken.growth_mb, "MB", LIMIT_MB, _detail(taken, lines))
        taken = client.in_own_process(_long_line, mode)
        yield Figure(
            f"client's growth, a 10 MB line, {mode}", taken.growth_mb, "MB", detail=_detail(taken, 1)
        )


def _detail(taken: Taken, lines: int) -> str:
    return (
        f"{taken.kept:,} of {lines:,} events kept, each once; {taken.run_s:.1f} s, "
        f"{lines / taken.run_s:,.0f} lines/s; {taken.left_mb:.0f} MB stay"
    )


def _many_lines(mode: str, lines: int) -> Taken:
    program = f"BEGIN {{ for (i = 0; i < {lines}; i++) printf line, i, i, i }}"
    return _measure(mode, f"init; awk -v line='{_LINE}' '{program}'; result", key="n")


def _long_line(mode: str) -> Taken:
    text = "head -c 10000000 /dev/zero | tr '\\0' x"
    commands = f"""init; printf '{{"type":"long","n":0,"text":"'; {text}; printf '"}}\\n'; result"""
    return _measure(mode, commands, key="n")


def _measure(mode: str, commands: str, *, key: str) -> Taken:
    # The first run brings in all modules and connections.
    ccnb.run("Warm up", **double.options(mode, "init; say hello; result")).raise_for_error()
    before = client.rss_mb()
    client.forget_peak()
    begun = time.perf_counter()
    result = ccnb.run("Write", **double.options(mode, commands)).raise_for_error()
    run_s = time.perf_counter() - begun
    growth, left = client.peak_mb() - before, client.rss_mb() - before
    return Taken(growth, left, run_s, _in_order(result, key))


def _in_order(result: ccnb.RunResult, key: str) -> int:
    """Return how many numbered events there are, having seen that each number came once, in order."""
    count = 0
    for event in result.events:
        if key in event.raw:
            assert event.raw[key] == count, (event.raw[key], count)
            count += 1
    return count
