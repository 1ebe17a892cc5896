"""A run outlives its client: kill that at any moment, attach from another process, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

import ccnb
from ccnb import _loop
from ccnb.engine import connect
from ccnb.gateway import process as gateway
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import FollowerLock, Store
from tests.conftest import agent_image
from tests.waiting import UNTIL_TOLD, tell, wait_for

EVENTS = 30
TALK = (
    f"init; i=0; while [ $i -lt {EVENTS} ]; do say $i; i=$((i+1)); sleep 0.02; done; echo x >made.txt; result"
)
TURNS = """
- say: One.
  tools:
    - Bash: {command: "echo one >one.txt", description: make a file}
- say: Two.
  wait: 3
"""

CLIENT = """
import json, sys
import ccnb
options = json.loads(sys.argv[1])
run = ccnb.start("Do it", **options)
print(run.run_id, flush=True)
for event in run:
    print(event.type, flush=True)
run.result()
"""


LEAVING_CLIENT = """
import atexit, json, sys, time
import ccnb
run = ccnb.start("Do it", **json.loads(sys.argv[1]))
print(run.run_id, flush=True)
next(iter(run))
# The interpreter ends, and takes its time: the agent is done before that.
atexit.register(time.sleep, 4)
"""

WATCHING_CLIENT = """
import ccnb, sys
run = ccnb.attach(sys.argv[1])
print([event.text for event in run][-1], run.result().outcome)
"""

WAITING_CLIENT = """
import json, sys
from ccnb import run
print("ready", flush=True)
run("Do it", **json.loads(sys.argv[1]))
"""


def client(options, code=CLIENT) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def killed_after(options, delay_s: float) -> str:
    """Start a run in another process, kill that after a while, and return the run's id."""
    process = client(options)
    run_id = process.stdout.readline().strip()
    time.sleep(delay_s)
    kill(process)
    return run_id


def killed_at_first_event(options) -> str:
    """Start a run in another process, kill that when the agent is at work, and return the run's id."""
    process = client(options)
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    kill(process)
    return run_id


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 3.0])
def test_a_client_killed_at_any_moment_costs_nothing(home, places, mode, agent, delay_s):
    run_id = killed_after(agent(mode, TALK) | {"check": "test -e made.txt"}, delay_s)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    texts = [e.text for e in result.events]
    assert texts == ["", *map(str, range(EVENTS)), "done"]
    assert result.total_cost_usd == 0.5
    assert result.check.passed
    assert [f.path for f in result.files] == ["made.txt"]
    assert result.timings.first_event_s + result.timings.agent_s >= EVENTS * 0.02
    wait_for(lambda: places(mode) == [])


def test_a_client_that_ends_before_its_run_leaves_it_to_whoever_attaches(home, places, mode, agent):
    # Done well after the interpreter has begun to end, and well before it has ended.
    leaving = client(agent(mode, TALK.replace("result", "sleep 1.5; result")), LEAVING_CLIENT)
    run_id = leaving.stdout.readline().strip()
    assert leaving.wait(60) == 0
    assert ccnb.runs()[0].record is None
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    assert [e.text for e in result.events] == ["", *map(str, range(EVENTS)), "done"]
    wait_for(lambda: places(mode) == [])


def test_time_in_which_nobody_followed_is_not_the_runs(home, places, mode, agent):
    begun = time.monotonic()
    run_id = killed_at_first_event(agent(mode, TALK))
    place, folder = Place.from_dict(Store(home).place(run_id)), Store(home).folder(run_id)
    wait_for(lambda: b"agent" in first_read(get_mode(mode), place, folder, "steps"))
    time.sleep(6)
    result = ccnb.attach(run_id).result()
    assert result.outcome == "success"
    # Of the six seconds, the agent needed none.
    assert result.timings.wall_s < time.monotonic() - begun - 5


def test_the_real_agent_goes_on_between_its_model_calls(home, places, mode, tmp_path):
    script = tmp_path / "turns.yaml"
    script.write_text(TURNS)
    process = client({"mode": mode, "api": f"script:{script}"})
    run_id = process.stdout.readline().strip()
    while "user" not in process.stdout.readline():
        pass
    kill(process)
    time.sleep(4)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.text) == ("success", "Two.")
    assert [c["status"] for c in result.calls] == [200, 200]
    assert [f.path for f in result.files] == ["one.txt"]
    assert result.usage.output_tokens > 0
    offsets = [e.offset for e in result.events]
    assert offsets == sorted(set(offsets))
    wait_for(lambda: places(mode) == [])


def test_a_second_process_watches_what_the_first_one_follows(home, places, agent, mode):
    handle = ccnb.start("Do it", **agent(mode, TALK))
    wait_for(lambda: len(handle.events) > 3)
    watching = subprocess.run(
        [
            sys.executable,
            "-c",
            WATCHING_CLIENT,
            handle.run_id,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert watching.stdout.split() == ["done", "success"]
    assert handle.result().outcome == "success"


def test_a_watcher_takes_over_when_the_follower_dies(home, places, agent, mode):
    process = client(agent(mode, f"init; {UNTIL_TOLD}; {TALK.removeprefix('init; ')}"))
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    handle = ccnb.attach(run_id)
    assert FollowerLock(Store(home).folder(run_id)).held_elsewhere
    tell(run_id)
    threading.Timer(0.2, kill, [process]).start()
    assert [e.text for e in handle] == ["", *map(str, range(EVENTS)), "done"]
    assert handle.result().outcome == "success"
    wait_for(lambda: places(mode) == [])


def test_sweep_leaves_alone_what_can_still_be_attached_to(home, places, agent, mode):
    run_id = killed_at_first_event(agent(mode, f"init; {UNTIL_TOLD}; result"))
    assert [(s.run_id, s.removed) for s in ccnb.sweep()] == [(run_id, False)]
    tell(run_id)
    assert ccnb.attach(run_id).result().outcome == "success"
    wait_for(lambda: places(mode) == [])


def test_sweep_leaves_alone_what_a_living_client_follows(home, places, agent, mode):
    handle = ccnb.start("Do it", **agent(mode, f"init; {UNTIL_TOLD}; result"))
    wait_for(lambda: len(handle.events) == 1)
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [False]
    tell(handle.run_id)
    assert handle.result().outcome == "success"


def test_sweep_leaves_alone_what_is_another_stores(home, another_home, agent, mode, monkeypatch):
    monkeypatch.setenv("CCNB_HOME", str(another_home))
    run_id = killed_at_first_event(agent(mode, "init; sleep 100"))
    monkeypatch.setenv("CCNB_HOME", str(home))
    assert ccnb.sweep(older_than_s=0) == []
    monkeypatch.setenv("CCNB_HOME", str(another_home))
    assert [(s.run_id, s.removed) for s in ccnb.sweep(older_than_s=0)] == [(run_id, True)]


@pytest.fixture
def another_home(home):
    """Return the home of a second store."""
    folder = home / "another"
    folder.mkdir()
    yield folder
    gateway.stop(folder)


def test_sweep_leaves_alone_what_is_not_ours(home, engine_mode):
    engine = connect(engine_mode)
    container = engine.api.create_container(agent_image(engine_mode), ["sleep", "60"])["Id"]
    try:
        assert ccnb.sweep(older_than_s=0) == []
        assert engine.inspect(container) is not None
    finally:
        engine.remove(container)


def test_sweep_removes_what_is_beyond_its_lifetime(home, places, agent, mode):
    killed_at_first_event(agent(mode, "init; sleep 100"))
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]
    assert places(mode) == []


def test_sweep_first_brings_home_what_is_done_and_was_not_fetched(home, places, agent, mode):
    commands = f"init; {UNTIL_TOLD}; echo x >made.txt; result"
    run_id = killed_at_first_event(agent(mode, commands) | {"check": "test -e made.txt"})
    (place,) = places(mode)
    tell(run_id)
    folder = Store(home).folder(run_id)
    wait_for(lambda: b"check" in first_read(get_mode(mode), place, folder, "steps"))
    assert_swept_home(run_id)
    assert places(mode) == []


@pytest.mark.needs("bubblewrap")
def test_sweep_brings_home_what_is_done_and_whose_process_is_gone(home, places, agent):
    commands = f"init; {UNTIL_TOLD}; echo x >made.txt; result"
    run_id = killed_at_first_event(agent("local", commands) | {"check": "test -e made.txt"})
    tell(run_id)
    wait_for(lambda: places("local") == [])
    assert_swept_home(run_id)


def assert_swept_home(run_id):
    assert [(s.removed, s.why) for s in ccnb.sweep(older_than_s=0)] == [(True, "its results were fetched")]
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    assert [e.text for e in result.events] == ["", "done"]
    assert result.check.passed
    assert [f.path for f in result.files] == ["made.txt"]


def first_read(mode, place, folder, name) -> bytes:
    """Return what a file in a place has, as one who waits for it reads it."""

    async def read():
        folder.note_watcher()
        return await anext(mode.read(place, folder, name, 0))

    return _loop.submit(read()).result()


def test_a_run_that_has_lost_its_place_is_ended_and_its_secrets_are_forgotten(home, places, agent, mode):
    run_id = killed_at_first_event(agent(mode, "init; sleep 100"))
    folder = Store(home).folder(run_id)
    assert "ANTHROPIC_API_KEY" in (folder.path / "secrets").read_text()
    (place,) = places(mode)
    _loop.submit(get_mode(mode).destroy(place)).result()
    assert ccnb.sweep() == []
    assert (folder.path / "secrets").exists()
    assert ccnb.sweep(older_than_s=0) == []
    assert Store(home).run(run_id).outcome == "lost"
    assert not (folder.path / "secrets").exists()
    assert not (folder.path / "gateway.json").exists()


def test_ctrl_c_in_any_phase_leaves_nothing_behind(home, places, agent, mode):
    options = agent(mode, "init; sleep 30; result") | {"setup": "sleep 0.3"}
    for delay_s in (0.0, 0.1, 0.2, 0.4, 1.2, None):
        process = client(options, WAITING_CLIENT)
        process.stdout.readline()
        if delay_s is None:
            # However slow the machine is, the last one has come so far.
            wait_for(lambda: "running" in {row.state for row in ccnb.runs()})
        else:
            time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == -signal.SIGINT
        wait_for(lambda: places(mode) == [])
    assert {row.outcome for row in ccnb.runs()} == {"cancelled"}


@pytest.fixture
def git_waits(home, monkeypatch):
    """Let the look for what a run changed, and so its collecting, last until the file returned is there."""
    go, folder, git = home / "go", home / "bin", shutil.which("git")
    folder.mkdir()
    wait = f'case "$*" in *--modified*) until [ -e {go} ]; do sleep 0.1; done ;; esac'
    (folder / "git").write_text(f'#!/bin/sh\n{wait}\nexec {git} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return go


@pytest.mark.parametrize("state", ["checking", "collecting"])
def test_ctrl_c_when_the_agent_is_done_leaves_nothing_behind(home, places, agent, mode, state, git_waits):
    check = {"checking": "sleep 30", "collecting": "true"}[state]
    process = client(agent(mode, "init; echo x >made.txt; result") | {"check": check}, WAITING_CLIENT)
    wait_for(lambda: [row.state for row in ccnb.runs()] == [state])
    process.send_signal(signal.SIGINT)
    wait_for(lambda: ccnb.runs()[0].progress.stop_reason == "cancelled")
    git_waits.touch()
    assert process.wait(timeout=120) == -signal.SIGINT
    wait_for(lambda: places(mode) == [])
    (row,) = ccnb.runs()
    # A check that was cut short has no verdict; a result that is all there is one.
    ended = {"checking": ("cancelled", False), "collecting": ("success", True)}[state]
    assert (row.outcome, row.record.check is not None) == ended


def test_a_swept_run_is_over_and_is_not_done_again(home, places, agent, mode, tmp_path):
    options = agent(mode, "init; echo ran >>count; sleep 100") | {"workspace": str(tmp_path)}
    run_id = killed_at_first_event(options)
    if mode != "fly":
        wait_for((tmp_path / "count").exists)
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error.kind) == ("lost", "place_lost")
    if mode != "fly":
        # From far away nothing comes of what is swept.
        assert (tmp_path / "count").read_text() == "ran\n"
    assert places(mode) == []
