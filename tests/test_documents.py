"""What the tests of the documents find missing in what was printed."""

from __future__ import annotations

from tests.documents import missing_from


def test_figures_and_ids_may_differ_and_lines_may_lie_between():
    assert (
        missing_from("took 1.5 s\n...\nrun 261124-074444-s57zf", "took 12 s\nmore\nrun 261125-074446-yrmzg")
        == []
    )


def test_a_time_is_a_figure_however_long_it_is():
    assert missing_from("image  1.50 s  0.01 s", "image  1 min 02 s  0.01 s") == []
    assert missing_from("image  1.50 s", "image  2 h 01 min") == []


def test_a_line_that_is_missing_hides_none_of_those_below_it():
    assert missing_from("one\ntwo\nthree", "one\nthree") == ["two"]


def test_order_counts():
    assert missing_from("one\ntwo", "two\none") == ["two"]
