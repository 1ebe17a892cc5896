"""What is read of the run folder for a run's record."""

from __future__ import annotations

import os
import time

import pytest

from ccnb.runner.record import Recorder, tail
from ccnb.spec import RunSpec
from ccnb.store import Progress, RunFolder


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


@pytest.mark.parametrize(("size", "end"), [(0, b""), (3, b"789"), (100, b"123456789")])
def test_the_tail_of_a_file(folder, size, end):
    (folder.inside / "err").write_bytes(b"123456789")
    assert tail(folder, "err", size) == end


def test_what_is_no_file_has_no_tail(folder):
    (folder.path / "private").write_text("mine")
    (folder.inside / "link").symlink_to(folder.path / "private")
    os.mkfifo(folder.inside / "pipe")
    assert [tail(folder, name, 5) for name in ("none", "link", "pipe")] == [b"", b"", b""]


@pytest.mark.parametrize(
    ("conditions", "usd"),
    [({"machine_usd_per_hour": "0.0158"}, pytest.approx(0.0237, rel=0.01)), ({}, None)],
)
def test_a_machine_costs_its_price_from_the_moment_it_is_asked_for(folder, tmp_path, conditions, usd):
    began = time.time() - 2 * 3600
    progress = Progress(marks={"begin": began, "image": began + 1800}, conditions=conditions)
    recorder = Recorder("r1", RunSpec(prompt="x", mode="fly"), folder, tmp_path, progress)
    assert recorder.record("success", None).machine_usd == usd
