"""Intervals that cover, differences that are there, and none where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ccnb import stats

FEW = 499
EXPERIMENTS = 1_000


def runs(rng, size, spread):
    """Return wall times of some runs with a relative spread."""
    sigma = math.sqrt(math.log1p(spread**2))
    return np.exp(rng.normal(0.0, sigma, size))


def claims(rng, experiments, n, spread, effect):
    """Return in how many simulated experiments a difference is claimed."""
    found = 0
    for seed in range(experiments):
        a, b = runs(rng, n, spread), runs(rng, n, spread) * (1 + effect)
        found += stats.difference(a, b, seed=seed, resamples=FEW).p <= 0.05
    return found


def most_by_chance(rate, experiments):
    """Return how many of some experiments chance may give at a rate, but for one time in a thousand."""
    return int(scipy_stats.binom.ppf(0.999, experiments, rate))


def test_where_nothing_differs_a_difference_is_claimed_in_no_more_than_five_percent():
    found = claims(np.random.default_rng(1), EXPERIMENTS, 20, 0.2, effect=0.0)
    assert found <= most_by_chance(0.05, EXPERIMENTS)


def test_runs_of_one_arm_relabelled_at_random_show_no_difference():
    rng = np.random.default_rng(2)
    one_arm = runs(rng, 200, 0.1) + 0.2 * (rng.random(200) < 0.05)  # a few stragglers, as machines have
    found = 0
    for seed in range(EXPERIMENTS):
        shuffled = rng.permutation(one_arm)
        found += stats.difference(shuffled[:100], shuffled[100:], seed=seed, resamples=FEW).p <= 0.05
    assert found <= most_by_chance(0.05, EXPERIMENTS)


def test_a_planted_slowdown_of_ten_percent_is_found_with_thirty_pairs():
    assert claims(np.random.default_rng(3), 200, 30, 0.1, effect=0.1) >= 0.8 * 200


@pytest.mark.parametrize("spread", [0.05, 0.10, 0.20, 0.30])
@pytest.mark.parametrize("n", [10, 30])
def test_power_is_what_simulation_gives(spread, n):
    within = stats.log_spread(spread)
    effect = stats.detectable(n, within, wanted=0.7)
    said = stats.power(effect, n, within)
    assert said == pytest.approx(0.7, abs=1e-6)
    experiments = 1_500
    found = claims(np.random.default_rng(4), experiments, n, spread, effect) / experiments
    assert found == pytest.approx(said, abs=0.05)


@given(st.floats(0.02, 1.0), st.floats(0.01, 0.8))
def test_pairs_needed_are_enough_and_one_fewer_is_not(effect, within):
    n = stats.pairs_needed(effect, within)
    assert stats.power(effect, n, within) >= 0.8
    assert n == stats.LEAST_PAIRS or stats.power(effect, n - 1, within) < 0.8


def test_too_few_pairs_can_show_nothing():
    same_way = stats.difference([1.0] * 5, [2.0] * 5)
    assert same_way.p > 0.05
    assert stats.power(10.0, 5, 0.1) == 0
    assert math.isnan(stats.detectable(5, 0.1))
    assert stats.difference([1.0] * 6, [2.0, 2.1, 2.2, 2.0, 2.1, 2.2]).p <= 0.05


def test_the_ratio_is_that_of_the_medians_with_an_interval_around_it():
    a, b = [1.0, 1.1, 0.9, 1.0, 1.2, 0.8], [2.0, 2.2, 1.8, 2.0, 2.4, 1.6]
    found = stats.difference(a, b)
    assert found.scale == "ratio"
    assert found.estimate == pytest.approx(2.0)
    assert found.low <= found.estimate <= found.high


def test_values_that_may_be_zero_are_compared_by_their_difference():
    found = stats.difference([0, 0, 1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 1, 1])
    assert found.scale == "difference"
    assert found.estimate == pytest.approx(0.75)
    assert found.p == pytest.approx(2 / 2**6)


def test_equal_values_are_no_evidence():
    found = stats.difference([1.0] * 9, [1.0] * 9)
    assert (found.estimate, found.p) == (1.0, 1.0)


def test_nothing_and_one_pair_are_answered_without_a_claim():
    assert stats.difference([], []).n == 0
    assert math.isnan(stats.difference([1.0], [2.0]).low)
    assert stats.difference([1.0, math.nan], [2.0, 3.0]).n == 1
    assert math.isnan(stats.rate(0, 0).estimate)
    assert math.isnan(stats.median([]).estimate)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_keeps_the_order_and_stays_a_probability(p):
    adjusted = stats.holm(p)
    assert (adjusted >= np.asarray(p) - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p)
    assert (np.diff(adjusted[order]) >= 0).all()


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_wilson_interval_holds_the_rate_and_stays_between_nought_and_one(passed, n):
    found = stats.rate(min(passed, n), n)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_the_medians_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(500):
        found = stats.median(runs(rng, 15, 0.3))
        covered += found.low <= 1.0 <= found.high
    assert covered >= scipy_stats.binom.ppf(0.001, 500, stats.LEVEL)


def test_the_same_values_and_seed_give_the_same_numbers():
    rng = np.random.default_rng(6)
    a, b = runs(rng, 25, 0.1), runs(rng, 25, 0.1)
    assert stats.difference(a, b, seed=7) == stats.difference(a, b, seed=7)


@given(st.integers(1, 200))
def test_with_the_least_pairs_p_can_be_small_enough_for_a_family_and_with_one_fewer_not(family):
    n = stats.least_pairs(0.05 / family)
    assert 2 / 2**n <= 0.05 / family < 2 / 2 ** (n - 1)
    assert math.isnan(stats.detectable(n - 1, 0.01, alpha=0.05 / family))
