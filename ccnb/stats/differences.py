"""Whether two arms differ, by pairs of runs that stood in the same block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ccnb.stats.estimates import LEVEL

Values = Sequence[float] | np.ndarray

RESAMPLES = 9_999
_AT_ONCE = 2_000_000
"""Numbers in memory while is drawn."""


@dataclass(frozen=True)
class Difference:
    """How `b` stands to `a`."""

    scale: str
    """`ratio`: median of `b` by median of `a`, where all values are above zero; else `difference`: mean of
    `b` less mean of `a`."""
    estimate: float
    low: float
    """Bound of the bootstrap interval, whole pairs drawn anew; NaN for fewer than two pairs."""
    high: float
    p: float
    """By permutation within pairs: how often chance alone would give as much or more."""
    n: int
    """Pairs."""
    spread: float
    """Standard deviation within pairs: of the logarithms' differences for a ratio, else of the differences;
    NaN for fewer than two pairs."""


def difference(
    a: Values, b: Values, *, scale: str | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Compare paired values: `a[i]` and `b[i]` stood in the same block.

    Parameters
    ----------
    scale
        `ratio` or `difference`; without it `ratio` where all values are above zero.
    seed
        Of what is drawn at random; the same values then give the same numbers.
    resamples
        How many times is drawn, for the interval and for p. Where there are fewer permutations, p is exact.
    """
    one, two = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    kept = ~(np.isnan(one) | np.isnan(two))
    one, two = one[kept], two[kept]
    n = int(one.size)
    if n == 0:
        return Difference(scale or "ratio", np.nan, np.nan, np.nan, np.nan, 0, np.nan)
    above = scale == "ratio" or (scale is None and bool((one > 0).all() and (two > 0).all()))
    inner = np.log(two) - np.log(one) if above else two - one
    estimate = _ratio if above else _gap
    low, high = _bootstrap(one, two, estimate, seed, resamples)
    return Difference(
        scale="ratio" if above else "difference",
        estimate=float(estimate(one, two)),
        low=low,
        high=high,
        p=_permutation(inner, seed, resamples),
        n=n,
        spread=float(np.std(inner, ddof=1)) if n > 1 else np.nan,
    )


def holm(p: Values) -> np.ndarray:
    """Return p-values that hold for the whole family of them (Holm 1979).

    >>> [round(float(x), 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * (given.size - np.arange(given.size)))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
    return np.median(b, axis=axis) / np.median(a, axis=axis)


def _gap(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
    return np.mean(b, axis=axis) - np.mean(a, axis=axis)


def _bootstrap(
    a: np.ndarray, b: np.ndarray, statistic: Any, seed: int, resamples: int
) -> tuple[float, float]:
    if a.size < 2:
        return np.nan, np.nan
    found = stats.bootstrap(
        (a, b),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=LEVEL,
        # The median's own distribution has steps, of which the accelerated method's derivatives know nothing.
        method="percentile",
        batch=_batch(a),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _permutation(inner: np.ndarray, seed: int, resamples: int) -> float:
    """Return p when the two of each pair might as well be exchanged: the signs flip."""
    if inner.size < 2 or not np.any(inner):
        return 1.0
    found = stats.permutation_test(
        (inner,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(inner),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _batch(values: np.ndarray) -> int:
    return max(1, _AT_ONCE // values.size)
