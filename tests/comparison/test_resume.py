"""A comparison that is killed, stopped and gone on with: every row once, nothing done twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ccnb
from ccnb.store import Store, comparisons
from tests.comparison.client import compare
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.needs("bubblewrap")


def kill_after_some(rows):
    """Begin or go on with the comparison in a process of its own, and kill that after some finished rows."""
    command = [sys.executable, "-m", "tests.comparison.client", "killed"]
    client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in client.stdout:
        rows -= " of 40: " in line
        if rows <= 0:
            break
    time.sleep(random.uniform(0, 0.4))  # noqa: S311 - a moment
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stdout.close()


def finished(store):
    return {run.run_id: run.ended_at for run in store.runs(finished=True)}


def test_a_client_killed_five_times_loses_no_row_and_does_none_twice(obedient, places):
    store = Store(obedient)
    done: dict = {}
    for extra in range(5):
        kill_after_some(3 + 3 * extra)
        now = finished(store)
        assert {run_id: now[run_id] for run_id in done} == done
        done = now
    comparison = compare("killed")
    assert {run_id: finished(store)[run_id] for run_id in done} == done
    frame = comparison.frame
    assert sorted(frame["number"]) == list(range(40))
    assert frame["run_id"].nunique() == 40
    assert frame["counted"].all()
    assert (frame["attempts"] == 1).all()
    assert len(store.runs()) == 40
    # The agent itself did its work once in each.
    assert {comparison.result(n).workspace.joinpath("made").read_text() for n in range(40)} == {"x\n"}
    wait_for(lambda: places("local") == [])


def test_compared_again_under_its_name_nothing_runs_anew(obedient):
    first = compare("again", repeats=2)
    again = compare("again", repeats=2)
    assert list(again.frame["run_id"]) == list(first.frame["run_id"])
    assert len(Store(obedient).runs()) == 4


def test_the_same_matrix_is_found_without_a_name(obedient):
    first = compare(None, repeats=1, reuse=True)
    again = compare(None, repeats=1, reuse=True)
    assert again.name == first.name
    assert list(again.frame["run_id"]) == list(first.frame["run_id"])
    assert compare(None, repeats=2, reuse=True).name != first.name
    with pytest.raises(ccnb.CcnbError, match="leave name out, or reuse"):
        compare("named", reuse=True)


def test_a_limit_stops_it_and_a_higher_one_goes_on(obedient):
    stopped = compare("limited", repeats=3, total_usd=1.0)
    assert stopped.stopped == "$1.00 are spent"
    assert stopped.frame["counted"].sum() == 2
    assert "Rows were left out: $1.00 are spent." in stopped.text
    assert compare("limited", repeats=3).frame["counted"].all()


def test_an_attempt_that_was_written_down_and_never_begun_is_begun(obedient):
    compare("begun", repeats=1, total_usd=0.1)
    store = Store(obedient)
    done = {attempt.number for attempt in comparisons.attempts(store, "begun")}
    row = next(number for number in (0, 1) if number not in done)
    comparisons.add_attempt(store, "begun", comparisons.Attempt(row, 0, "261124-000000-aaaaa"))
    frame = compare("begun", repeats=1).frame
    assert frame["counted"].all()
    assert frame.loc[row, "run_id"] == "261124-000000-aaaaa"
