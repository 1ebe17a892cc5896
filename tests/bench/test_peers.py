"""From measurements to rows, a page and a picture: who is ahead is what the rounds say."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from bench.peers import page, picture, table
from bench.peers.__main__ import KEPT, PAGE
from bench.peers.figures import LATENCY, SHARE
from bench.peers.measured import own_share, row, value
from bench.peers.rows import Row, rows_of
from bench.peers.turns import Rounds, by_turns

SLOWER, FASTER = [2.0, 2.2, 2.1, 2.0], [1.0, 1.1, 1.0, 1.0]


def beside(ours, theirs, *, better="lower"):
    return Row("a figure", "peer", "s", better, ours, theirs, "this beside that")


@pytest.mark.parametrize(
    ("ours", "theirs", "better", "ahead"),
    [
        (FASTER, SLOWER, "lower", "this project"),
        (SLOWER, FASTER, "lower", "peer"),
        (SLOWER, FASTER, "higher", "this project"),
        (FASTER, SLOWER, "higher", "peer"),
        ([1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 2.0, 1.0], "lower", "neither"),
        (FASTER, FASTER, "lower", "neither"),
        ([-5.0, -6.0, -5.0], [3.0, 2.0, 4.0], "lower", "this project"),
    ],
)
def test_who_is_ahead_depends_on_which_way_is_better_and_on_the_rounds_agreeing(ours, theirs, better, ahead):
    assert beside(ours, theirs, better=better).ahead == ahead


def test_one_odd_round_decides_nothing():
    assert beside([*FASTER, 90.0], [*SLOWER, 1.0]).ahead == "this project"


def test_the_ratio_is_that_of_the_rounds_and_not_of_the_medians():
    assert beside([1.0, 10.0, 100.0], [2.0, 20.0, 50.0]).ratio == pytest.approx(0.5)


def test_a_peer_that_is_ahead_is_named_with_by_how_much():
    assert beside(SLOWER, FASTER).verdict == "peer is ahead, 2.00 times"
    assert beside(FASTER, SLOWER).verdict == "this project is ahead, 2.00 times"


def test_where_nothing_is_added_there_is_no_ratio_but_a_distance():
    at_zero = beside([-5.0, -5.0], [20.0, 20.0])
    assert at_zero.ratio is None
    assert at_zero.verdict == "this project is ahead, by 25.0 s"


def test_what_a_peer_lacks_is_said_and_counts_for_nobody():
    row = Row.has_none(LATENCY, "peer", "no events")
    assert (row.verdict, row.ahead, row.measured) == ("has none: no events", "", False)


def test_a_row_comes_back_from_json():
    row = beside(FASTER, SLOWER)
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_the_own_share_is_what_is_beyond_the_bare_agent_of_the_same_round():
    rounds = Rounds(
        {
            "ours": [{"returned_s": 1.1}, {"returned_s": 2.1}],
            "peer": [{"returned_s": 1.3}, {"returned_s": 2.3}],
            "bare": [{"returned_s": 1.0}, {"returned_s": 2.0}],
        }
    )
    share = own_share(rounds, "peer", "bare", "")
    assert (share.figure, share.ours, share.theirs) == (SHARE.name, [100, 100], [300, 300])


def test_contestants_take_turns_and_every_second_round_goes_backwards():
    order = []

    def contestant(name):
        return lambda: order.append(name) or {"took_s": len(order)}

    rounds = by_turns({name: contestant(name) for name in "abc"}, 2)
    assert "".join(order) == "abc" + "cba" + "abc"
    assert [len(taken) for taken in rounds.taken.values()] == [2, 2, 2], "the warm-up round does not count"


def test_a_contestant_that_fails_is_out_with_its_reason_and_the_others_go_on():
    def fails():
        raise OSError("no such program")

    rounds = by_turns({"ours": lambda: {"took_s": 1.0}, "peer": fails}, 3)
    assert len(rounds.taken["ours"]) == 3
    assert row(rounds, "peer", LATENCY, value("took_s"), "").verdict == "not measured: peer: no such program"


@pytest.fixture
def measured():
    rows = [
        beside(FASTER, SLOWER),
        Row("another", "docker run", "lines/s", "higher", [10.0, 10.0], [20.0, 20.0], "one | two"),
        Row.absent(LATENCY, "inspect-ai", "no matching distribution"),
    ]
    return {"conditions": {"cores": 2, "load_at_begin": 0.5}, "rows": [row.to_dict() for row in rows]}


def test_the_page_says_where_a_peer_is_ahead_why_a_number_is_missing_and_on_what_machine(measured):
    text = page.page(measured)
    assert "Of 2 figures, this project is ahead in 1, a peer in 1, and 0 show no clear difference." in text
    assert "- another: docker run is ahead, 2.00 times" in text
    assert "not measured: no matching distribution" in text
    assert "| load at begin | 0.5 |" in text
    assert "one | two" in text


def test_a_peers_rows_stand_together_in_the_order_of_their_coming(measured):
    late = beside([1.0], [1.0]).to_dict() | {"figure": "late"}
    rows = rows_of({"rows": [*measured["rows"], late]})
    assert [row.peer for row in rows] == ["peer", "peer", "docker run", "inspect-ai"]
    assert [row.figure for row in rows][:2] == ["a figure", "late"]


def test_the_table_has_every_row(measured):
    console = Console(file=io.StringIO(), width=200)
    table.show(measured, console)
    shown = console.file.getvalue()
    for word in ("a figure", "another", "no matching distribution", "cores 2"):
        assert word in shown


def test_the_committed_page_is_made_of_the_committed_measurements():
    assert PAGE.read_text() == page.page(json.loads(KEPT.read_text()))


def test_the_committed_picture_is_drawn_of_the_committed_measurements(tmp_path):
    measured = json.loads(KEPT.read_text())
    picture.draw(measured, tmp_path / "again.svg")
    # Of another matplotlib the lines may differ, the words may not.
    assert words(tmp_path / "again.svg") == words(PAGE.with_suffix(".svg"))
    shown = words(tmp_path / "again.svg")
    for data in measured["rows"]:
        assert (picture.label(Row.from_dict(data)) in shown) == (Row.from_dict(data).ratio is not None)


def words(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())
