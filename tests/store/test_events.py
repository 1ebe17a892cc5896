"""A run's events are a sequence, as a list is, that stays on disk."""

from __future__ import annotations

import time
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.redact import Redactor
from ccnb.spec import RunSpec
from ccnb.store import Events, Progress, Store
from ccnb.stream import parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 1100


def parsed(first, last):
    lines = ((n * 10, b'{"type":"user","n":%d}' % n) for n in range(first, last))
    return [parse(line, offset=at, arrived_at=NOW, redactor=Redactor()) for at, line in lines]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("home"))
    for run_id in ("few", "many", "none", "growing"):
        store.add_run(run_id, RunSpec(prompt="x"), Progress())
    store.append("few", parsed(0, 7), 70, b"")
    store.append("many", parsed(0, 50_000), 500_000, b"")
    yield store
    store.close()


@pytest.fixture(scope="module")
def few(store):
    return Events(store, "few"), [event for event, _ in parsed(0, 7)]


bounds = st.none() | st.integers(-10, 10)


@given(start=bounds, stop=bounds, step=st.none() | st.integers(-4, 4).filter(bool))
def test_any_slice_is_what_a_list_would_give(few, start, stop, step):
    events, expected = few
    assert events[start:stop:step] == expected[start:stop:step]


@given(st.integers(-10, 10))
def test_any_index_is_what_a_list_would_give(few, index):
    events, expected = few
    if -7 <= index < 7:
        assert events[index] == expected[index]
    else:
        with pytest.raises(IndexError, match="7 events"):
            events[index]


def test_it_is_a_sequence(few):
    events, expected = few
    assert list(events) == expected
    assert list(reversed(events)) == expected[::-1]
    assert len(events) == 7
    assert expected[3] in events
    assert events.index(expected[5]) == 5
    assert "7 events of run few" in repr(events)


def test_a_run_without_events_is_an_empty_one(store):
    events = Events(store, "none")
    assert (list(events), len(events), events[:], bool(events)) == ([], 0, [], False)


def test_it_grows_while_the_run_goes_on(store):
    events = Events(store, "growing")
    assert len(events) == 0
    store.append("growing", parsed(0, 2), 20, b"")
    assert [e.raw["n"] for e in events] == [0, 1]
    walk = iter(events)
    next(walk)
    store.append("growing", parsed(2, 4), 40, b"")
    assert len(events) == 4
    assert events[-1].raw["n"] == 3


def test_a_long_slice_is_read_at_once(store):
    events = Events(store, "many")
    begun = time.process_time()
    part = events[20_000:40_000]
    assert time.process_time() - begun < 5  # one query for each event takes minutes
    assert [part[0].raw["n"], part[-1].raw["n"], len(part)] == [20_000, 39_999, 20_000]


def test_walking_through_many_keeps_few_in_memory(store):
    walk = iter(Events(store, "many"))
    next(walk)
    tracemalloc.start()
    assert sum(1 for _ in walk) == 49_999
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
