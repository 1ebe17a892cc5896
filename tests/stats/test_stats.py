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


# Numbers that can be had in another way: by hand, by a formula, or from a textbook's table.


def test_without_a_pair_there_is_no_number_at_all():
    for a, b in (([], []), ([1.0, math.nan], [math.nan, 2.0])):
        found = stats.difference(a, b)
        assert (found.scale, found.n) == ("ratio", 0)
        assert all(math.isnan(x) for x in (found.estimate, found.low, found.high, found.p, found.spread))
    assert stats.difference([], [], scale="difference").scale == "difference"


def test_one_pair_is_an_estimate_and_no_evidence():
    found = stats.difference([2.0], [3.0])
    assert (found.estimate, found.p, found.n) == (1.5, 1.0, 1)
    assert all(math.isnan(x) for x in (found.low, found.high, found.spread))


def test_two_pairs_have_an_interval_and_a_spread():
    found = stats.difference([1.0, 2.0], [2.0, 8.0], scale="difference")
    assert (found.estimate, found.low, found.high, found.p) == (3.5, 1.0, 6.0, 0.5)
    assert found.spread == pytest.approx(5 / math.sqrt(2))


def test_whole_pairs_are_drawn_so_what_each_pair_shares_is_no_doubt():
    a = [1.0, 5.0, 2.0, 9.0, 4.0, 7.0]
    twice = stats.difference(a, [2 * x for x in a])
    assert (twice.estimate, twice.low, twice.high) == (2.0, 2.0, 2.0)
    assert twice.spread == pytest.approx(0.0)
    more = stats.difference(a, [x + 1 for x in a], scale="difference")
    assert (more.estimate, more.low, more.high, more.spread) == pytest.approx((1.0, 1.0, 1.0, 0.0))


def test_a_pair_of_which_one_is_missing_is_left_out_as_a_whole():
    with_gaps = stats.difference([1.0, math.nan, 2.0, 3.0, 4.0], [2.0, 9.0, math.nan, 5.0, 9.0])
    assert with_gaps == stats.difference([1.0, 3.0, 4.0], [2.0, 5.0, 9.0])


@pytest.mark.parametrize(
    ("a", "b"), [([1, 0, 2], [1, 1, 1]), ([1, 1, 2], [1, 0, 1]), ([-1, 1, 2], [1, 1, 1])]
)
def test_a_value_that_is_not_above_zero_on_either_side_has_no_ratio(a, b):
    assert stats.difference(a, b).scale == "difference"


def test_the_scale_that_is_asked_for_is_used_with_its_own_spread():
    a, b = np.array([1.0, 2.0, 4.0, 5.0]), np.array([2.0, 3.0, 9.0, 6.0])
    gap = stats.difference(a, b, scale="difference")
    assert (gap.scale, gap.estimate) == ("difference", pytest.approx(2.0))
    assert gap.spread == pytest.approx(np.std(b - a, ddof=1))
    ratio = stats.difference(a, b, scale="ratio")
    assert (ratio.scale, ratio.estimate) == ("ratio", pytest.approx(4.5 / 3.0))
    assert ratio.spread == pytest.approx(np.std(np.log(b / a), ddof=1))


def test_the_interval_of_a_mean_is_as_wide_as_the_textbook_says():
    rng = np.random.default_rng(8)
    a, inner = rng.normal(10, 5, 100), rng.normal(1.0, 1.0, 100)
    found = stats.difference(a, a + inner, scale="difference")
    half = 1.96 * inner.std() / math.sqrt(100)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)
    assert (found.high + found.low) / 2 == pytest.approx(inner.mean(), abs=half / 10)


def test_p_is_exact_where_all_permutations_can_be_tried():
    # Of the 2**8 ways to give the signs, those as far from zero as all the same: two.
    found = stats.difference([1.0] * 8, [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8])
    assert found.p == pytest.approx(2 / 2**8)
    assert stats.difference([1.0, 1.1, 1.3], [1.1, 1.0, 1.3]).p == 1.0


def test_another_seed_draws_anew_and_more_resamples_make_p_finer():
    rng = np.random.default_rng(9)
    a, b = runs(rng, 25, 0.1), runs(rng, 25, 0.1) * 1.5
    one, two = stats.difference(a, b, seed=1), stats.difference(a, b, seed=2)
    assert (one.low, one.high) != (two.low, two.high)
    assert stats.difference(a, b) == stats.difference(a, b, seed=0)
    # With so clear a difference no draw gives as much: p is then what the number of draws allows.
    assert one.p == pytest.approx(2 / 10_000)
    assert stats.difference(a, b, resamples=FEW).p == pytest.approx(2 / (FEW + 1))


def test_p_is_drawn_anew_with_another_seed():
    rng = np.random.default_rng(10)
    a, b = runs(rng, 25, 0.1), runs(rng, 25, 0.1)
    assert stats.difference(a, b, seed=1).p != stats.difference(a, b, seed=2).p


def test_fewer_draws_give_coarser_bounds():
    rng = np.random.default_rng(11)
    a, b = runs(rng, 25, 0.1), runs(rng, 25, 0.1)
    few, many = stats.difference(a, b, resamples=FEW), stats.difference(a, b)
    assert (few.low, few.high) != (many.low, many.high)


def test_holm_multiplies_by_how_many_are_left():
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.4, 0.001]) == pytest.approx([0.8, 0.8, 0.003])
    assert stats.holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    assert stats.holm([1, 0]) == pytest.approx([1.0, 0.0])
    assert stats.holm([]).size == 0


def test_a_rate_has_the_interval_of_the_textbook():
    # Newcombe 1998, table I: 81 of 263, 1 of 29.
    assert stats.rate(81, 263) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=5e-5)
    assert stats.rate(1, 29) == pytest.approx((1 / 29, 0.0061, 0.1718), abs=5e-5)
    assert stats.rate(1, 1).estimate == 1.0
    assert all(math.isnan(x) for x in stats.rate(0, 0))


def test_a_median_has_the_interval_of_its_order_statistics():
    # The 3rd and the 10th of 12 hold the median in 96.1 % of all samples.
    twelve = [7, 1, 12, 3, 10, 5, 6, 4, 8, 9, 2, 11]
    assert stats.median(twelve) == (6.5, 3.0, 10.0)
    assert stats.median([*twelve, math.nan]) == (6.5, 3.0, 10.0)
    assert stats.median([4.0] * 6) == (4.0, 4.0, 4.0)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_a_median_has_the_interval_that_scipy_finds_for_these_very_values(values):
    theirs = scipy_stats.quantile_test(values, p=0.5).confidence_interval(stats.LEVEL)
    assert stats.median(values)[1:] == pytest.approx((theirs.low, theirs.high), nan_ok=True)


@pytest.mark.parametrize("n", range(1, 6))
def test_a_median_of_few_values_has_no_interval(n):
    found = stats.median(list(range(n)))
    assert found.estimate == (n - 1) / 2
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_median_of_nothing_is_no_number():
    for values in ([], [math.nan]):
        assert all(math.isnan(x) for x in stats.median(values))


@given(st.floats(0.01, 1.0))
def test_the_spread_of_single_runs_is_that_of_a_lognormal_and_a_pair_has_two(spread):
    sigma = stats.log_spread(spread) / math.sqrt(2)
    assert math.sqrt(math.exp(sigma**2) - 1) == pytest.approx(spread)


def test_the_spread_of_an_arm_is_that_of_its_logarithms():
    assert stats.spread_of_logs(np.array([1.0, math.e])) == pytest.approx(1 / math.sqrt(2))
    for none in ([], [2.0], [1.0, 0.0], [1.0, -1.0]):
        assert math.isnan(stats.spread_of_logs(np.array(none)))


def test_power_and_pairs_are_those_of_the_tables():
    # Cohen 1988 and G*Power 3.1: a paired t-test, d = 0.5, two-sided at 5 %: 34 pairs have a power of 0.808.
    effect = math.expm1(0.5)
    assert stats.power(effect, 34, 1.0) == pytest.approx(0.8078, abs=1e-4)
    assert stats.pairs_needed(effect, 1.0) == 34
    assert stats.pairs_needed(effect, 1.0, wanted=0.95) == 54
    assert stats.pairs_needed(effect, 1.0, alpha=0.01) == 51
    assert stats.detectable(34, 1.0) == pytest.approx(effect, rel=0.02)


def test_power_is_the_same_for_twice_as_long_and_half_as_long():
    assert stats.power(1.0, 12, 0.9) == pytest.approx(stats.power(-0.5, 12, 0.9))


def test_the_power_to_find_what_is_not_there_is_the_level():
    assert stats.power(0.0, 20, 0.3) == pytest.approx(0.05)
    assert stats.power(0.0, 20, 0.3, alpha=0.01) == pytest.approx(0.01)


def test_where_nothing_varies_each_difference_shows():
    assert stats.power(0.01, 6, 0.0) == 1.0
    assert stats.power(0.0, 6, 0.0) == 0.0
    assert stats.detectable(6, 0.0) == 0.0
    assert stats.pairs_needed(0.01, 0.0) == stats.LEAST_PAIRS


def test_where_it_is_not_known_how_much_varies_nothing_is_promised():
    assert stats.power(0.5, 20, math.nan) == 0.0
    assert math.isnan(stats.detectable(20, math.nan))


def test_a_difference_beyond_all_doubt_has_a_power_of_one():
    for within in (0.2, 0.1, 0.05, 0.001):
        assert stats.power(1.0, 100, within) == pytest.approx(1.0)


def test_a_difference_too_large_to_be_looked_for_is_none():
    assert math.isnan(stats.detectable(6, 50.0))
    assert 10 < stats.detectable(6, 1.9) < 999


def test_too_small_a_difference_needs_as_many_pairs_as_are_looked_at():
    assert stats.pairs_needed(1e-6, 1.0) == 100_000


def test_the_smallest_difference_shows_as_often_as_is_wanted_at_the_level_that_is_asked_for():
    for alpha in (0.05, 0.01):
        effect = stats.detectable(20, 0.3, wanted=0.9, alpha=alpha)
        assert stats.power(effect, 20, 0.3, alpha=alpha) == pytest.approx(0.9, abs=1e-6)
    assert stats.detectable(20, 0.3) == stats.detectable(20, 0.3, wanted=0.8, alpha=0.05)
