"""Estimates with their intervals, differences with their evidence, and what a number of runs can show.

The formulas are scipy's; what is chosen here is which of them fits runs that are paired by block.
"""

from ccnb.stats.differences import Difference, difference, holm
from ccnb.stats.estimates import LEVEL, Interval, median, rate
from ccnb.stats.power import (
    LEAST_PAIRS,
    detectable,
    least_pairs,
    log_spread,
    pairs_needed,
    power,
    spread_of_logs,
)

__all__ = [
    "LEAST_PAIRS",
    "LEVEL",
    "Difference",
    "Interval",
    "detectable",
    "difference",
    "holm",
    "least_pairs",
    "log_spread",
    "median",
    "pairs_needed",
    "power",
    "rate",
    "spread_of_logs",
]
