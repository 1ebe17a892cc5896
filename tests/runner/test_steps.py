"""The supervisor's notes are read in whatever pieces they come, and nothing else is believed."""

from __future__ import annotations

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


def test_what_the_real_supervisor_writes_is_understood(tmp_path):
    inside, workspace = tmp_path / "inside", tmp_path / "workspace"
    inside.mkdir()
    workspace.mkdir()
    (inside / "prompt").write_text("the prompt")
    (inside / "setup").write_text("echo ready > ready\n")
    (inside / "check").write_text("exit 3\n")
    script = files("ccnb").joinpath("data", "supervisor.sh").read_bytes()
    (inside / "supervisor.sh").write_bytes(script)
    command = ["sh", str(inside / "supervisor.sh"), str(inside), str(workspace), "30", "0", "cat"]
    subprocess.run(command, check=False, timeout=30)
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
