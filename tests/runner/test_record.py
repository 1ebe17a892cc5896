"""What is read of the run folder for a run's record."""

from __future__ import annotations

import os

import pytest

from ccnb.runner.record import tail
from ccnb.store import RunFolder


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
