"""Repeats are added where an interval is wide, by its width alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

import ccnb
from bench import stopping
from ccnb.comparison import more
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.client import compare
from tests.comparison.kept import keep_comparison

MODES, PROMPTS = ("docker", "local"), ("a", "b", "c")


def matrix(**more_of_it):
    arms = tuple(
        Arm({"prompt": prompt, "mode": mode}, RunSpec(prompt=prompt, mode=mode))
        for prompt, mode in itertools.product(PROMPTS, MODES)
    )
    given = {"repeats": 6, "warmups": 0, "seed": 7, "concurrency": 1, "max_repeats": 8, "precision": 0.1}
    return Matrix(arms=arms, axes={"prompt": PROMPTS, "mode": MODES}, **given | more_of_it)


def kept(home, facts, **more_of_it):
    """Keep a comparison; return a function that adds a block to it and keeps that too."""
    store, current = Store(home), matrix(**more_of_it)
    keep_comparison(store, "kept", current, facts)

    def add(before):
        longer = more.add_block("kept", store, before)
        if longer is not None:
            keep_comparison(store, "kept", longer, facts)
        return longer

    return current, add


def wide_for(*wide):
    """Return times that spread for some arms, and hardly for the others."""
    return lambda row: {"wall_s": 1.0 + (0.5 if row.arm in wide else 0.01) * (row.block % 2)}


def test_a_block_is_added_for_the_wide_arm_and_those_it_is_set_against(home):
    current, add = kept(home, wide_for(0))
    longer = add(current)
    # a in docker is wide; it is set against a in local, and against b and c in docker.
    assert longer.further == ((0, 1, 2, 4),)
    assert longer.rows()[: len(current.rows())] == current.rows()
    assert sorted(row.arm for row in longer.rows() if row.block == 7) == [0, 1, 2, 4]
    summary = ccnb.Comparison("kept").summary()
    assert list(summary["n"]) == [7, 7, 7, 6, 7, 6]


def test_no_more_than_the_maximum_are_added(home):
    current, add = kept(home, wide_for(0, 5))
    longest = add(add(current))
    assert [len(block) for block in longest.further] == [6, 6]
    assert add(longest) is None
    assert "2 of these blocks were added, up to 8" in ccnb.Comparison("kept").text
    assert "p had no part in that" in ccnb.Comparison("kept").text


def test_where_all_are_known_well_enough_nothing_is_added(home):
    current, add = kept(home, wide_for())
    assert add(current) is None


def test_an_arm_of_which_no_run_succeeded_asks_for_no_more(home):
    current, add = kept(home, lambda row: {"wall_s": 1.0} | ({"outcome": "timeout"} if row.arm == 0 else {}))
    assert add(current) is None


def test_with_too_few_runs_for_an_interval_it_is_wide(home):
    current, add = kept(home, wide_for(), repeats=2)
    assert len(add(current).further[0]) == 6


def test_what_was_added_is_no_other_matrix():
    longer = matrix(further=((0, 1),))
    assert longer.fingerprint() == matrix().fingerprint()
    assert Matrix.from_dict(longer.to_dict()) == longer
    old = {k: v for k, v in matrix().to_dict().items() if k not in ("max_repeats", "precision", "further")}
    assert Matrix.from_dict(old) == matrix(max_repeats=0, precision=0.0)


@pytest.mark.needs("bubblewrap")
def test_rows_that_were_added_are_run_and_gone_on_with(obedient):
    options = {"repeats": 1, "max_repeats": 3, "precision": 0.5}
    stopped = compare("added", total_usd=1.5, **options)
    assert stopped.stopped
    comparison = compare("added", **options)
    frame = comparison.frame
    assert frame["counted"].all()
    assert list(frame["block"]) == [1, 1, 2, 2, 3, 3]
    again = compare("added", **options)
    assert list(again.frame["run_id"]) == list(frame["run_id"])


def test_stopped_on_width_a_difference_that_is_not_there_is_claimed_no_more_often():
    rng, experiments, found = np.random.default_rng(5), 250, 0
    for seed in range(experiments):
        times = stopping.arms(rng, most=12, stragglers=stopping.STRAGGLERS)
        n = stopping.stop_on_width(times, precision=0.15)
        found += stopping.p_of(times[:, :n], seed, resamples=199) <= 0.05
    assert found <= scipy_stats.binom.ppf(0.999, experiments, 0.05)
