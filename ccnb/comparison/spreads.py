"""How far the repeats of one arm lie apart: in their times, in what they made, in what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ccnb import frames, stats
from ccnb.runner.handles import RunResult

MOST_ALIKE = 20
"""Runs of an arm whose answers are compared: the work grows with the square."""


def power(values: Any, effect: float) -> dict[str, Any]:
    """Return what an arm's repeats can find, going by the spread of these values."""
    known = values.dropna().astype(float)
    spread = float(stats.spread_of_logs(known.to_numpy()))
    within = spread * math.sqrt(2)
    n = len(known)
    return {
        "spread": spread,
        "repeats": n,
        "power": stats.power(effect, n, within),
        "detectable": stats.detectable(n, within),
        "repeats_needed": None if math.isnan(within) else stats.pairs_needed(effect, within),
    }


def power_of_passing(values: Any, effect: float) -> dict[str, Any]:
    """Return what an arm's repeats can find of another pass rate, going by its own."""
    known = values.dropna().astype(float)
    n, rate = len(known), float(known.mean())
    # On the side that has more room, as what is detectable is.
    other = rate - abs(effect) if rate >= 0.5 else rate + abs(effect)
    there = 0 <= other <= 1
    return {
        "spread": math.sqrt(rate * (1 - rate)),
        "repeats": n,
        "power": stats.power_of_rates(rate, other, n) if there else math.nan,
        "detectable": stats.detectable_of_rates(n, rate),
        "repeats_needed": stats.pairs_for_rates(rate, other) if there else None,
    }


def agreement(
    records: Sequence[dict[str, Any]], passed: Sequence[Any], some: Sequence[RunResult]
) -> dict[str, Any]:
    """Return how far an arm's runs agree, and of some how alike their answers are."""
    verdicts = [(record.get("outcome"), bool(good)) for record, good in zip(records, passed, strict=True)]
    files = [tuple(sorted((f["path"], f["change"]) for f in record.get("files", ()))) for record in records]
    alike = frames.similarity_frame(some)
    pairs = alike.loc[alike["run_id"] != alike["other_run_id"], "similarity"]
    return {
        "n": len(records),
        "verdict": _largest_share(verdicts),
        "files": _largest_share(files),
        "answers": float(pairs.mean()) if len(pairs) else math.nan,
    }


def _largest_share(values: Sequence[Any]) -> float:
    return max(map(values.count, values)) / len(values) if values else math.nan
