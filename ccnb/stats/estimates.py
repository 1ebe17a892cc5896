"""One number and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Of every interval."""


class Interval(NamedTuple):
    """An estimate with the bounds of its 95 % interval; NaN where there is none."""

    estimate: float
    low: float
    high: float


NOTHING = Interval(np.nan, np.nan, np.nan)


def rate(passed: int, n: int) -> Interval:
    """Return a share of `n` with its Wilson interval.

    >>> [round(x, 3) for x in rate(9, 10)]
    [0.9, 0.596, 0.982]
    """
    if n == 0:
        return NOTHING
    found = stats.binomtest(passed, n).proportion_ci(LEVEL, method="wilson")
    return Interval(passed / n, float(found.low), float(found.high))


def median(values: Sequence[float] | np.ndarray) -> Interval:
    """Return the median with the interval that order statistics give, whatever the values' distribution.

    Fewer than six values have no such interval at 95 %.

    >>> median([1.0, 2.0, 3.0])
    Interval(estimate=2.0, low=nan, high=nan)
    """
    known = np.asarray(values, dtype=float)
    known = np.sort(known[~np.isnan(known)])
    if known.size == 0:
        return NOTHING
    middle, ranks = float(np.median(known)), _ranks(known.size)
    if ranks is None:
        return Interval(middle, np.nan, np.nan)
    low, high = ranks
    return Interval(middle, float(known[low]), float(known[high]))


@lru_cache(maxsize=1_024)
def _ranks(n: int) -> tuple[int, int] | None:
    """Return which of `n` sorted values bound the median's interval: that depends on nothing but `n`.

    A summary asks for it once for each phase of each arm, and scipy takes 0.6 ms to find it.
    """
    bounds = stats.quantile_test(np.arange(n), p=0.5).confidence_interval(LEVEL)
    return None if np.isnan(bounds.low) else (int(bounds.low), int(bounds.high))
