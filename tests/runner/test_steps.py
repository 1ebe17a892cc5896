"""The supervisor's notes are read in whatever pieces they come, and nothing else is believed."""

from __future__ import annotations

import signal
import subprocess
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.runner.steps import Step, Steps

NOTES = b"""started 100.5 0 exit
setup 101.25 0 exit
agent 110.125 143 timeout
check 111 1 exit
finished 111.5 0 exit
"""


@given(st.lists(st.integers(0, len(NOTES))))
def test_any_chunking_gives_the_same_steps(cuts):
    edges = [0, *sorted(cuts), len(NOTES)]
    steps = Steps()
    new = [step for a, b in pairwise(edges) for step in steps.feed(NOTES[a:b])]
    assert [step.name for step in new] == ["started", "setup", "agent", "check", "finished"]
    assert steps.done["agent"] == Step("agent", 110.125, 143, "timeout")
    assert steps.at("setup") == 101.25


def test_a_step_is_known_when_its_line_is_whole():
    steps = Steps()
    assert steps.feed(b"agent 1.5 0 ex") == []
    assert "agent" not in steps
    assert steps.at("agent") is None
    assert steps.feed(b"it\n") == [Step("agent", 1.5, 0, "exit")]
    assert "agent" in steps


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"agent",
        b"agent 1 0",
        b"agent x 0 exit",
        b"agent 1 x exit",
        b"agent 1 0 exit more",
        b"\xff 1 0 exit",
        b"agent nan 0 exit",
        b"agent inf 0 exit",
        b"agent -inf 0 exit",
        b"agent 1e999 0 exit",
    ],
)
def test_a_line_that_the_supervisor_cannot_have_written_is_passed_over(line):
    steps = Steps()
    assert steps.feed(line + b"\nstarted 2 0 exit\n") == [Step("started", 2.0, 0, "exit")]
    assert list(steps.done) == ["started"]


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_no_bytes_end_the_reading(chunks):
    steps = Steps()
    for chunk in chunks:
        steps.feed(chunk)


@pytest.fixture
def inside(tmp_path):
    """Return the inner part of a run folder with a prompt and the supervisor."""
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "prompt").write_text("the prompt")
    script = files("ccnb").joinpath("data", "supervisor.sh").read_bytes()
    (folder / "supervisor.sh").write_bytes(script)
    return folder


def supervise(inside, *agent, lifetime_s=60):
    """Run the supervisor as a session of its own and return how it ended."""
    workspace = inside.with_name("workspace")
    workspace.mkdir()
    options = [str(inside), str(workspace), "30", "0", str(lifetime_s)]
    command = ["sh", str(inside / "supervisor.sh"), *options, *agent]
    return subprocess.run(command, check=False, timeout=120, start_new_session=True).returncode


def test_after_its_lifetime_a_supervisor_ends_though_somebody_stopped_it(inside):
    stop = "kill -STOP $PPID; sleep 5"
    assert supervise(inside, "sh", "-c", stop, lifetime_s=1) == -signal.SIGKILL


def test_a_folder_without_the_callers_file_is_not_the_workspace_and_is_left_alone(inside):
    (inside / "sentinel").touch()
    assert supervise(inside, "touch", "made") == 0
    steps = Steps()
    steps.feed((inside / "steps").read_bytes())
    assert [(s.name, s.code, s.reason) for s in steps.done.values()] == [
        ("started", 0, "exit"),
        ("workspace", 1, "missing"),
        ("finished", 0, "exit"),
    ]
    assert list(inside.with_name("workspace").iterdir()) == []


def test_what_the_real_supervisor_writes_is_understood(inside):
    (inside / "setup").write_text("echo ready > ready\n")
    (inside / "check").write_text("exit 3\n")
    assert supervise(inside, "cat") == 0
    steps = Steps()
    steps.feed((inside / "steps").read_bytes())
    assert [(s.name, s.code, s.reason) for s in steps.done.values()] == [
        ("started", 0, "exit"),
        ("setup", 0, "exit"),
        ("agent", 0, "exit"),
        ("check", 3, "exit"),
        ("finished", 0, "exit"),
    ]
    times = [step.at for step in steps.done.values()]
    assert times == sorted(times)
    assert (inside / "out").read_text() == "the prompt"


def test_a_wish_for_the_agents_end_that_comes_late_does_not_end_the_check(inside):
    """It was on its way when the agent ended by itself."""
    (inside / "check").write_text(f"touch {inside}/enough; sleep 3; exit 3\n")
    assert supervise(inside, "true") == 0
    steps = Steps()
    steps.feed((inside / "steps").read_bytes())
    assert (steps.done["check"].code, steps.done["check"].reason) == (3, "exit")
