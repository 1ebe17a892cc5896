"""Runs that are followed in a terminal, interrupted, left, and picked up again."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from ccnb.store import Store
from tests.cli.conftest import COMMAND
from tests.waiting import UNTIL_TOLD, tell

SLOW = "init; say 'I begin.'; echo x >made.txt; sleep 60; result"
SHORT = "init; say 'I begin.'; sleep 1.5; say 'I end.'; result"
TOLD = f"init; say 'I begin.'; {UNTIL_TOLD}; say 'I end.'; result"
HARD = "trap '' INT TERM; init; say 'I begin.'; while :; do sleep 1; done"


def the_run(home):
    (row,) = Store(home).runs()
    return row


def test_a_terminal_shows_a_line_below_that_goes_away(terminal, home, task, mode):
    screen = terminal(*task(mode, TOLD))
    screen.wait_for("I begin.")
    screen.wait_for("running")
    tell(the_run(home).run_id)
    screen.wait_for("1 turn")
    assert screen.end() == 0
    assert "success" in screen.seen


def test_interrupt_ends_the_run_and_says_what_is_kept(terminal, home, task, mode, places):
    screen = terminal(*task(mode, SLOW))
    screen.wait_for("I begin.")
    screen.press("\x03")
    assert screen.end() == 130
    row = the_run(home)
    assert f"run {row.run_id} was stopped; what it did is kept in {home}" in screen.seen
    assert "Traceback" not in screen.seen
    assert row.outcome == "cancelled"
    assert [file.path for file in row.record.files] == ["made.txt"]
    assert places(mode) == []


def test_interrupt_before_the_agent_runs(terminal, home, task, mode, places):
    screen = terminal(*task(mode, SLOW, "--setup", "sleep 60"))
    screen.wait_for("starting")
    screen.press("\x03")
    assert screen.end() == 130
    assert the_run(home).outcome == "cancelled"
    assert places(mode) == []


def test_a_second_interrupt_does_not_wait(terminal, home, cli, task, engine_mode):
    screen = terminal(*task(engine_mode, HARD))
    screen.wait_for("I begin.")
    screen.press("\x03")
    screen.wait_for("stopping and cleaning up")
    screen.press("\x03")
    assert screen.end(40) == 130
    assert "Traceback" not in screen.seen
    assert "kept in" in screen.seen or "may still go on" in screen.seen
    row = the_run(home)
    if row.record is None:
        assert cli("attach", "--cancel", row.run_id).code == 0


def test_background_leaves_a_run_that_attach_follows_from_its_first_event(cli, home, task, mode, places):
    # It must not be over before the command has left it.
    started = cli(*task(mode, TOLD, "--bg"))
    run_id = started.out.strip()
    assert started.code == 0
    assert f"`ccnb attach {run_id}` follows it" in started.err
    assert the_run(home).state in ("running", "checking")
    tell(run_id)
    done = cli("attach", run_id)
    assert done.code == 0, done.err
    for words in ("claude 0, model m", "I begin.", "I end.", "success"):
        assert words in done.out
    again = cli("attach", run_id, "--quiet")
    assert again.out == "done\n"
    assert places(mode) == []


def test_interrupting_attach_leaves_the_run_going_on(terminal, cli, task, mode, places):
    run_id = cli(*task(mode, SLOW, "--bg", "-q")).out.strip()
    screen = terminal("attach", run_id)
    screen.wait_for("I begin.")
    screen.press("\x03")
    assert screen.end() == 130
    assert f"run {run_id} goes on" in screen.seen
    assert "is running" in cli("show", run_id).out
    assert len(places(mode)) == 1
    ended = cli("attach", "--cancel", run_id)
    assert ended.code == 0, ended.err
    assert "cancelled" in ended.out
    assert "+ made.txt" in ended.out
    assert places(mode) == []


@pytest.mark.needs("bubblewrap")
def test_a_run_that_another_follows_can_be_watched_and_ended(terminal, cli, home, task):
    first = terminal(*task("local", SLOW))
    first.wait_for("I begin.")
    run_id = the_run(home).run_id
    second = terminal("attach", run_id)
    second.wait_for("I begin.")
    ended = cli("attach", "--cancel", run_id)
    assert ended.code == 0, ended.err
    assert first.end() == 130
    assert second.end() == 130
    assert "cancelled" in second.seen


@pytest.mark.needs("bubblewrap")
def test_a_closed_pipe_is_no_error(cli, home, task):
    cli(*task("local", SHORT, "-q"))
    run_id = the_run(home).run_id
    shell = f"{COMMAND} show {run_id} --events | head -c 1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr


@pytest.mark.needs("bubblewrap")
def test_a_terminated_client_leaves_the_run_to_be_attached_to(terminal, cli, home, task):
    screen = terminal(*task("local", SHORT))
    screen.wait_for("I begin.")
    os.kill(screen.process, signal.SIGKILL)
    os.waitpid(screen.process, 0)
    done = cli("attach", the_run(home).run_id)
    assert done.code == 0
    assert "I end." in done.out
