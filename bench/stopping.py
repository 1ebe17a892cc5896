"""Simulated comparisons of two arms that don't differ, ended by one rule or by another."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.stats import binom

from bench.report import Figure
from ccnb import stats
from ccnb.comparison.more import is_narrow

FIRST, MOST = 6, 30
"""Blocks: from how many on one may stop, and how many there are at most."""
SPREAD, PRECISION = 0.15, 0.1
STRAGGLERS = 0.05
"""The share of runs that take three times as long, as on real machines some do."""
ON_WIDTH, ON_P = 10_000, 2_000
"""Experiments: where p is looked at after each block, it takes many times as long."""
RATE, RESAMPLES = 0.05, 499


def figures() -> Iterator[Figure]:
    """Yield how often a difference is claimed, stopped by the interval's width and stopped by p."""
    limit = 100 * float(binom.ppf(0.975, ON_WIDTH, RATE)) / ON_WIDTH
    setting = f"spread {SPREAD:.0%}, {FIRST} to {MOST} blocks"
    for share, kind in ((0.0, ""), (STRAGGLERS, f"; {STRAGGLERS:.0%} of the runs take three times as long")):
        rng = np.random.default_rng(1)
        claims = sum(claims_on_width(arms(rng, MOST, share), seed) for seed in range(ON_WIDTH))
        what = f"A/A simulated, stopped on width{kind}: a difference is claimed"
        detail = f"{ON_WIDTH:,} experiments, {setting}; the limit is 5 % with its binomial error"
        yield Figure.below(what, 100 * claims / ON_WIDTH, "%", limit, detail)
    rng = np.random.default_rng(2)
    claims = sum(claims_on_p(arms(rng, MOST, 0.0), seed) for seed in range(ON_P))
    what = f"A/A simulated, stopped as soon as p ≤ {RATE:g}: a difference is claimed"
    detail = f"{ON_P:,} experiments, {setting}; ccnb never stops so"
    yield Figure(what, 100 * claims / ON_P, "%", detail=detail)


def arms(rng: np.random.Generator, most: int, stragglers: float) -> np.ndarray:
    """Return the times of two arms that don't differ, block by block."""
    sigma = math.sqrt(math.log1p(SPREAD**2))
    return np.exp(rng.normal(0.0, sigma, (2, most))) * (1 + 2 * (rng.random((2, most)) < stragglers))


def stop_on_width(times: np.ndarray, first: int = FIRST, precision: float = PRECISION) -> int:
    """Return after how many blocks both intervals are narrow enough, or how many there are."""
    for n in range(first, times.shape[1]):
        if all(_is_narrow(arm[:n], precision) for arm in times):
            return n
    return int(times.shape[1])


def claims_on_width(times: np.ndarray, seed: int) -> bool:
    """Return whether a difference is claimed at the end that the intervals ask for."""
    n = stop_on_width(times)
    return p_of(times[:, :n], seed) <= RATE


def claims_on_p(times: np.ndarray, seed: int) -> bool:
    """Return whether a difference is claimed by somebody who looks after each block until there is one."""
    return any(p_of(times[:, :n], seed) <= RATE for n in range(FIRST, times.shape[1] + 1))


def p_of(times: np.ndarray, seed: int, resamples: int = RESAMPLES) -> float:
    """Return p of a difference between the two arms."""
    return stats.difference(times[0], times[1], seed=seed, resamples=resamples).p


def _is_narrow(times: np.ndarray, precision: float) -> bool:
    middle, low, high = stats.median(times)
    return is_narrow({"wall_s": middle, "wall_s_low": low, "wall_s_high": high}, precision)
