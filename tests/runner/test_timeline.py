"""Phases follow each other without a gap, whatever the clocks say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.results import PHASES
from ccnb.runner.timeline import busy_s, timings
from ccnb.stream import Tally

NAMES = [phase.removesuffix("_s") for phase in PHASES]
marks = st.dictionaries(st.sampled_from([*NAMES, "finished"]), st.floats(0, 1e6)).map(
    lambda m: {"begin": 500.0} | m
)


@given(marks, st.floats(0, 1e6))
def test_no_phase_is_negative_and_their_sum_is_the_wall_time(marks, tools_s):
    found = timings(marks, Tally(tools_s=tools_s))
    assert all(getattr(found, phase) >= 0 for phase in PHASES)
    last = max([marks["begin"], *(marks[name] for name in NAMES if name in marks)])
    assert found.wall_s == pytest.approx(last - marks["begin"])


@given(marks, st.floats(0, 1e6))
def test_the_agents_time_is_the_models_and_the_tools(marks, tools_s):
    found = timings(marks, Tally(tools_s=tools_s))
    assert found.model_s + found.tools_s == pytest.approx(found.agent_s)
    assert found.model_s >= 0
    assert found.tools_s <= tools_s


def test_each_phase_ends_at_its_mark():
    ends = {"begin": 10, **{name: 10 + n * (n + 1) / 2 for n, name in enumerate(NAMES, start=1)}}
    found = timings(ends, Tally(tools_s=2.0))
    assert [getattr(found, phase) for phase in PHASES] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (found.cleanup_s, found.tools_s, found.model_s) == (None, 2.0, 4.0)
    assert found.wall_s == 36


def test_a_phase_that_was_not_takes_no_time():
    found = timings({"begin": 0.0, "image": 1.0, "agent": 5.0, "collect": 6.0}, Tally())
    assert (found.image_s, found.setup_s, found.check_s) == (1.0, 0.0, 0.0)
    assert (found.agent_s, found.collect_s, found.cleanup_s) == (4.0, 1.0, None)


def test_a_clock_in_the_place_that_is_behind_takes_from_no_other_phase():
    """The place's clock is 100 s behind ours: its phases shrink to nothing, the sum stays right."""
    marks = {
        "begin": 1000.0,
        "image": 1001.0,
        "create": 1002.0,
        "start": 902.5,
        "agent": 910.0,
        "collect": 1011.0,
    }
    found = timings(marks, Tally())
    assert (found.start_s, found.agent_s, found.collect_s, found.wall_s) == (0.0, 0.0, 9.0, 11.0)


def call(at, took_s):
    return {"at": datetime.fromtimestamp(at, UTC), "duration_s": took_s}


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e3)), max_size=8))
def test_calls_at_once_count_once(spans):
    busy = busy_s([call(at, took_s) for at, took_s in spans])
    longest = max((took_s for _, took_s in spans), default=0.0)
    assert longest - 1e-3 <= busy <= sum(took_s for _, took_s in spans) + 1e-3


def test_where_calls_were_measured_they_are_the_models_time():
    marks = {"begin": 0.0, "first_event": 1.0, "agent": 9.0}
    calls = [call(1, 2.0), call(2, 2.0), call(7, None), call(8, 0.5)]
    assert timings(marks, Tally(tools_s=3.0), calls).model_s == pytest.approx(3.5)
    assert timings(marks, Tally(tools_s=3.0), [call(1, 50.0)]).model_s == 8.0
    assert timings(marks, Tally(tools_s=3.0)).model_s == 5.0
