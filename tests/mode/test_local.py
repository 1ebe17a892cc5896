"""Mode `local` beyond what every mode does: which process is a run's."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import ccnb
from ccnb import _loop
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.waiting import UNTIL_TOLD, tell, wait_for

pytestmark = pytest.mark.needs("bubblewrap")


def status(place: Place) -> str:
    return _loop.submit(get_mode("local").state(place)).result().status


def test_a_clock_that_is_set_hides_no_run_and_shows_none_that_has_ended(home, places, agent):
    handle = ccnb.start("Do it", **agent("local", f"init; {UNTIL_TOLD}; result"))
    wait_for(lambda: len(handle.events) == 1)
    place = Place.from_dict(Store(home).place(handle.run_id))
    # When a process began is told from when the machine did, and that by the clock.
    by_another_clock = replace(place, details={**place.details, "created": place.details["created"] - 3600})
    assert (status(place), status(by_another_clock)) == ("alive", "alive")
    assert status(replace(by_another_clock, id=str(os.getpid()))) == "gone"
    tell(handle.run_id)
    assert handle.result().outcome == "success"
    wait_for(lambda: places("local") == [])
    assert status(by_another_clock) == "gone"
