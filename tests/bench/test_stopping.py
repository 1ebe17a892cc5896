"""The simulation behind what the page on comparisons says of stopping on p."""

from __future__ import annotations

import numpy as np
import pytest

from bench import stopping
from bench.report import Figure


def test_it_stops_at_the_first_block_at_which_both_intervals_are_narrow():
    rng = np.random.default_rng(1)
    near, far = np.exp(rng.normal(0.0, 0.001, (2, 30))), np.exp(rng.normal(0.0, 2.0, (2, 30)))
    assert stopping.stop_on_width(near) == stopping.FIRST
    assert stopping.stop_on_width(far) == 30
    assert stopping.stop_on_width(np.stack([near[0], far[1]])) == 30


def test_who_looks_after_each_block_claims_whatever_the_last_look_would_and_more():
    rng, at_the_end, on_the_way = np.random.default_rng(3), [], []
    for seed in range(30):
        times = stopping.arms(rng, 16, 0.0)
        at_the_end.append(stopping.p_of(times, seed) <= stopping.RATE)
        on_the_way.append(stopping.claims_on_p(times, seed))
    assert all(early >= late for early, late in zip(on_the_way, at_the_end, strict=True))
    assert sum(on_the_way) > sum(at_the_end)


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        (Figure.below("a time", 1.5, "s", 2, "of three"), "a time: 1.5 s (target ≤ 2: met); of three"),
        (Figure.below("a time", 2.5, "s", 2), "a time: 2.5 s (target ≤ 2: not met)"),
        (Figure("a time", 2.5, "s"), "a time: 2.5 s"),
        (Figure.absent("a time", "s", "no docker"), "a time; not measured: no docker"),
    ],
)
def test_a_figure_is_told_with_its_target_and_whether_it_was_met(figure, line):
    assert str(figure) == line
