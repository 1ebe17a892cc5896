"""Runs of one arm, relabelled as two: the long form with 200 runs in docker is `python -m bench aa`."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from bench import aa
from tests.comparison.client import VARIANTS, compare

LABELLINGS = 300


@pytest.mark.needs("bubblewrap")
def test_real_runs_of_one_arm_relabelled_at_random_show_no_difference(obedient):
    one = compare("aa", repeats=16, variants={"one": VARIANTS["quick"]}, warmups=1)
    values = one.frame.query("counted")["wall_s"].to_numpy(dtype=float)
    assert len(values) == 16
    assert aa.claims(values, LABELLINGS) * LABELLINGS <= binom.ppf(0.999, LABELLINGS, aa.RATE)
    # The same eyes see what is there.
    assert aa.planted(values, LABELLINGS, 8, effect=9.0) > 0.9
