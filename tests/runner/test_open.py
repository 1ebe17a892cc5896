"""Opening a run's files: the system's own program is given the workspace."""

from __future__ import annotations

import pytest

from ccnb.errors import CcnbError
from ccnb.store import Store
from tests.kept import keep_run
from tests.waiting import wait_for

PROGRAMS = ("xdg-open", "open")


@pytest.fixture
def result(home):
    (home / "runs").mkdir()
    return keep_run(Store(home), "r1")


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Return the one folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_file_manager_is_given_the_workspace(result, only):
    told = only / "told"
    for name in PROGRAMS:
        (only / name).write_text(f'#!/bin/sh\nprintf %s "$1" >{told}.new && /bin/mv {told}.new {told}\n')
        (only / name).chmod(0o755)
    result.open()
    wait_for(told.exists)
    assert told.read_text() == str(result.workspace)


def test_where_there_is_none_the_files_are_named(result, only):
    with pytest.raises(CcnbError) as caught:
        result.open()
    assert caught.value.message.endswith(f"open isn't here; the files are in {result.workspace}")
