"""What a number of pairs can show of two pass rates.

In some pairs both runs pass or both fail: these say nothing. Of those in which one passes and the other
doesn't, `difference` asks how they divide, by exchanging the two of a pair: McNemar's exact test. How often
that finds a difference is a sum over how many pairs differ and how these divide (Duffy 1984,
doi:10.2307/2531151). Two runs of a block are taken as independent of each other.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize
from scipy.stats import binom

from ccnb.stats.power import ALPHA, WANTED, fewest, least_pairs

_NEVER = 1e-9
"""Where pairs differ so seldom, no number of them that anybody runs has six that do."""


def power_of_rates(a: float, b: float, n: int, *, alpha: float = ALPHA) -> float:
    """Return how often `n` pairs show that two pass rates differ.

    >>> round(power_of_rates(0.9, 0.5, 30), 2)
    0.9
    """
    only_a, only_b = a * (1 - b), b * (1 - a)
    apart = only_a + only_b
    if n < least_pairs(alpha) or math.isnan(apart) or apart < _NEVER:
        return 0.0
    differ = np.arange(least_pairs(alpha), n + 1)
    fewer = _most_of_the_fewer(differ, alpha)
    share = only_a / apart
    found = binom.cdf(fewer, differ, share) + binom.sf(differ - fewer - 1, differ, share)
    return float(binom.pmf(differ, n, apart) @ found)


def detectable_of_rates(n: int, rate: float, *, wanted: float = WANTED, alpha: float = ALPHA) -> float:
    """Return the smallest difference from a rate that `n` pairs would have shown; NaN where none would.

    0.2 stands for 20 points, on the side that has more room: down from 0.9, up from 0.1.
    """
    top = max(rate, 1 - rate)

    def lack(other: float) -> float:
        return power_of_rates(top, other, n, alpha=alpha) - wanted

    if math.isnan(rate) or lack(0.0) < 0:
        return math.nan
    return top - float(optimize.brentq(lack, 0.0, top))


def pairs_for_rates(a: float, b: float, *, wanted: float = WANTED, alpha: float = ALPHA) -> int:
    """Return how many pairs are needed to show that two pass rates differ.

    The power of so few whole numbers grows in small steps back and forth: a few pairs fewer may do as well.
    """
    return fewest(lambda n: power_of_rates(a, b, n, alpha=alpha) >= wanted, least_pairs(alpha))


def _most_of_the_fewer(differ: np.ndarray, alpha: float) -> np.ndarray:
    """Return how many of the pairs that differ may do so the rarer way round while p is still `alpha`."""
    near = binom.ppf(alpha / 2, differ, 0.5)
    fewer: np.ndarray = near - (2 * binom.cdf(near, differ, 0.5) > alpha)
    return fewer
