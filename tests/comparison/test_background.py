"""A comparison that goes on while its caller does something else."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from ccnb import _loop
from ccnb.comparison.background import Comparing
from ccnb.errors import CcnbError
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("bubblewrap")

OPTIONS = {
    "modes": ["local"],
    "repeats": 2,
    "warmups": 0,
    "api": "script:demo",
    "env": {"AGENT": "init; say one; result"},
}


def test_its_result_is_the_comparison(obedient):
    begun = []
    going = Comparing("say OK", on_run=begun.append, **OPTIONS)
    found = going.result()
    assert going.done
    assert going.runs == begun
    assert {run.run_id for run in begun} == {row.run_id for row in found.results()}


def test_a_mistake_is_told_when_the_result_is_asked_for(obedient):
    going = Comparing("say OK", **OPTIONS | {"modes": ["dokcer"]})
    with pytest.raises(CcnbError, match="dokcer"):
        going.result()
    assert going.done


def test_one_that_is_cancelled_before_it_has_begun_ends_too(obedient):
    # The loop is busy, so that both words reach it together.
    said = threading.Event()
    _loop.call(lambda: said.wait(60))
    going = Comparing("say OK", **OPTIONS)
    going.cancel()
    said.set()
    wait_for(lambda: going.done)
    assert going.runs == []
    with pytest.raises(CancelledError):
        going.result()


def test_one_that_is_cancelled_ends_its_runs(obedient):
    going = Comparing("say OK", **OPTIONS | {"env": {"AGENT": "init; sleep 60"}})
    wait_for(lambda: going.runs)
    going.cancel()
    wait_for(lambda: going.done)
    assert all(run.done for run in going.runs)
    with pytest.raises(CancelledError):
        going.result()
