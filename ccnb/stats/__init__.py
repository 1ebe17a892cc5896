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
from ccnb.stats.rates import detectable_of_rates, pairs_for_rates, power_of_rates

__all__ = [
    "LEAST_PAIRS",
    "LEVEL",
    "Difference",
    "Interval",
    "detectable",
    "detectable_of_rates",
    "difference",
    "holm",
    "least_pairs",
    "log_spread",
    "median",
    "pairs_for_rates",
    "pairs_needed",
    "power",
    "power_of_rates",
    "rate",
    "spread_of_logs",
]
