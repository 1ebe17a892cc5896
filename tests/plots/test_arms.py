"""The picture of a comparison: every run a dot, each arm with its median and how sure that is."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ccnb import plots
from ccnb.errors import SpecError

FRAME = pd.DataFrame({"arm": ["b", "a", "b", "a", "b"], "wall_s": [4.0, 1.0, 6.0, 3.0, None]})
BOUNDS = {"a": (2.0, 1.0, 3.0), "b": (5.0, math.nan, math.nan)}


@pytest.fixture
def ax():
    return plots.plot_arms(FRAME, BOUNDS, order=["b", "a"], ax=Figure().subplots())


def lines(ax):
    return [([float(x) for x in line.get_xdata()], line.get_ydata()[0]) for line in ax.lines]


def test_arms_stand_in_their_order_with_the_number_of_their_runs(ax):
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b\n(n = 2)", "a\n(n = 2)"]
    # The first is at the top.
    low, high = ax.get_ylim()
    assert low > high


def test_every_run_is_a_dot_in_the_row_of_its_arm(ax):
    by_row = [sorted((float(x), round(float(y))) for x, y in c.get_offsets()) for c in ax.collections]
    assert by_row == [[(4.0, 0), (6.0, 0)], [(1.0, 1), (3.0, 1)]]


def test_a_line_across_is_the_median_and_one_below_its_interval_where_there_is_one(ax):
    assert [x for x, _ in lines(ax)] == [[5.0, 5.0], [2.0, 2.0], [1.0, 3.0]]
    # Those of `a`, the second row.
    assert all(0.5 < y < 1.5 for _, y in lines(ax)[1:])


def test_the_axis_names_the_metric_and_begins_at_nought(ax):
    assert ax.get_xlabel() == "wall_s; dots: runs, line: median with its 95 % interval"
    # But for the room that a dot at nought needs.
    assert -0.05 * 6 < ax.get_xlim()[0] <= 0


def test_where_no_run_counts_that_is_said():
    ax = plots.plot_arms(FRAME.head(0), {}, order=["a"], ax=Figure().subplots())
    assert ax.texts[0].get_text() == "no finished run"


def test_an_arm_without_a_run_keeps_its_row():
    ax = plots.plot_arms(FRAME, BOUNDS, order=["b", "c", "a"], ax=Figure().subplots())
    assert [label.get_text() for label in ax.get_yticklabels()][1] == "c\n(n = 0)"


def test_another_frame_is_refused():
    with pytest.raises(SpecError, match="wall_s"):
        plots.plot_arms(FRAME[["arm"]], BOUNDS, order=["a"], ax=Figure().subplots())


def test_an_arm_may_be_named_like_a_formula():
    named = FRAME.replace({"arm": {"a": r"$\frac{$"}})
    plots.plot_arms(named, {}, order=[r"$\frac{$"], ax=Figure().subplots()).figure.canvas.draw()
