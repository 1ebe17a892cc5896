"""Two pass rates: what a number of pairs can show of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb import stats

rates = st.floats(0.0, 1.0)


def test_the_power_is_that_of_the_tables():
    # G*Power's manual, after O'Brien 2002: 50 pairs, of which 8 % differ one way round and 32 % the other,
    # have a power of 0.839343, one-sided at 5 %. Pairs of runs with these two pass rates differ so.
    a = (0.76 - math.sqrt(0.76**2 - 0.32)) / 2
    assert stats.power_of_rates(a, a + 0.24, 50, alpha=0.1) == pytest.approx(0.839343, abs=1e-4)
    # Where all of one arm pass, all that differ do so one way round, and six of them are enough.
    for n, b in ((10, 0.3), (20, 0.6)):
        six = sum(math.comb(n, k) * (1 - b) ** k * b ** (n - k) for k in range(6, n + 1))
        assert stats.power_of_rates(1.0, b, n) == pytest.approx(six)


@pytest.mark.parametrize(("a", "b"), [(0.9, 0.5), (0.6, 0.1), (1.0, 0.4), (0.5, 0.5)])
def test_the_power_is_how_often_a_difference_is_claimed_in_simulation(a, b):
    rng, n, experiments, found = np.random.default_rng(7), 9, 600, 0
    for seed in range(experiments):
        one, two = (rng.random(n) < a).astype(float), (rng.random(n) < b).astype(float)
        # More than there are permutations of nine pairs: p is exact.
        found += stats.difference(one, two, scale="difference", seed=seed, resamples=600).p <= 0.05
    assert found / experiments == pytest.approx(stats.power_of_rates(a, b, n), abs=0.05)


@given(rates, st.integers(1, 200))
def test_equal_rates_are_claimed_to_differ_no_more_often_than_the_level_says(rate, n):
    assert stats.power_of_rates(rate, rate, n) <= 0.05 + 1e-9


@given(rates, rates, st.integers(1, 100))
def test_which_is_first_and_what_is_called_passing_make_no_difference(a, b, n):
    said = stats.power_of_rates(a, b, n)
    assert stats.power_of_rates(b, a, n) == pytest.approx(said)
    assert stats.power_of_rates(1 - a, 1 - b, n) == pytest.approx(said, abs=1e-9)


@given(rates, st.integers(1, 100))
def test_what_is_detectable_is_found_four_times_in_five(rate, n):
    size = stats.detectable_of_rates(n, rate)
    other = rate - size if rate >= 0.5 else rate + size
    if math.isnan(size):
        assert stats.power_of_rates(rate, float(rate < 0.5), n) < 0.8
    else:
        assert stats.power_of_rates(rate, other, n) == pytest.approx(0.8, abs=1e-6)


def test_fewer_pairs_than_can_show_anything_show_no_rates_either():
    assert stats.power_of_rates(1.0, 0.0, 5) == 0.0
    assert stats.power_of_rates(1.0, 0.0, 6) == 1.0
    assert math.isnan(stats.detectable_of_rates(5, 0.9))
    assert math.isnan(stats.detectable_of_rates(50, math.nan))
    assert stats.power_of_rates(math.nan, 0.5, 50) == 0.0


def test_the_pairs_that_are_needed_are_enough_and_many_fewer_are_not():
    n = stats.pairs_for_rates(0.9, 0.7)
    assert stats.power_of_rates(0.9, 0.7, n) >= 0.8
    assert stats.power_of_rates(0.9, 0.7, n - 5) < 0.8
    assert stats.pairs_for_rates(1.0, 0.0) == stats.LEAST_PAIRS
    assert stats.pairs_for_rates(0.9, 0.7, alpha=0.01) > n
    # By the normal approximation (Connor 1987) it is 65: the exact test is a little stricter.
    assert 65 <= n <= 75
