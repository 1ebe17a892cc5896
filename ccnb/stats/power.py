"""What a number of runs can show: before a comparison, and after one that showed nothing.

From about eight pairs on, the permutation test has the power of the paired t-test of the logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

ALPHA = 0.05
WANTED = 0.8
"""The power that is asked for by custom: found four times in five."""

LEAST_PAIRS = 6
"""With fewer, not even pairs that all point the same way have a p of 5 %: 2 / 2⁵ is more."""

_MOST_PAIRS = 100_000
_LARGEST = math.log(1_000.0)


def least_pairs(alpha: float = ALPHA) -> int:
    """Return with how many pairs p can be as small as `alpha`: all of them then point the same way.

    >>> least_pairs(), least_pairs(0.05 / 6)
    (6, 8)
    """
    return math.ceil(1 - math.log2(alpha))


def log_spread(spread: float) -> float:
    """Return the standard deviation within pairs of the logarithms' differences.

    Parameters
    ----------
    spread
        Standard deviation of single runs by their mean: 0.1 for 10 %.
    """
    return math.sqrt(2 * math.log1p(spread**2))


def spread_of_logs(values: np.ndarray) -> float:
    """Return the standard deviation of the logarithms of an arm's values; NaN where there is none."""
    if len(values) < 2 or not (values > 0).all():
        return math.nan
    return float(np.std(np.log(values), ddof=1))


def power(effect: float, n: int, within: float, *, alpha: float = ALPHA) -> float:
    """Return how often a true difference is found.

    Parameters
    ----------
    effect
        The difference: 0.1 for 10 % longer.
    n
        Pairs.
    within
        Standard deviation within pairs of the logarithms' differences: see `log_spread`.
    """
    if n < least_pairs(alpha) or math.isnan(within):
        return 0.0
    if within == 0:
        return float(effect != 0)
    edge = stats.t.ppf(1 - alpha / 2, n - 1)
    shift = abs(math.log1p(effect)) / within * math.sqrt(n)
    # Beyond this scipy's series for the tails gives no number, and the answer is 1.
    if shift > 37:
        return 1.0
    return float(stats.nct.sf(edge, n - 1, shift) + np.nan_to_num(stats.nct.cdf(-edge, n - 1, shift)))


def detectable(n: int, within: float, *, wanted: float = WANTED, alpha: float = ALPHA) -> float:
    """Return the smallest difference that `n` pairs would have shown, 0.1 for 10 %; NaN where none would."""
    if n < least_pairs(alpha) or math.isnan(within):
        return math.nan
    if within == 0:
        return 0.0

    def lack(log_ratio: float) -> float:
        return power(math.expm1(log_ratio), n, within, alpha=alpha) - wanted

    if lack(_LARGEST) < 0:
        return math.nan
    return math.expm1(float(optimize.brentq(lack, 0.0, _LARGEST)))


def pairs_needed(effect: float, within: float, *, wanted: float = WANTED, alpha: float = ALPHA) -> int:
    """Return how many pairs are needed to find a difference."""
    return fewest(lambda n: power(effect, n, within, alpha=alpha) >= wanted, least_pairs(alpha))


def fewest(are_enough: Callable[[int], bool], least: int) -> int:
    """Return the smallest number of pairs, from some least, that are enough; by halving what is left."""
    low, high = least, _MOST_PAIRS
    while low < high:
        middle = (low + high) // 2
        if are_enough(middle):
            high = middle
        else:
            low = middle + 1
    return low
