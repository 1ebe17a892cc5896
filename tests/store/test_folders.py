"""The store's home, the run folders, and the lock of the one who follows a run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import pytest

from ccnb.errors import RunBusyError, StoreError
from ccnb.store import FollowerLock, RunFolder, home

HOLD = """
import sys, time
from pathlib import Path
from ccnb.store import FollowerLock, RunFolder
lock = FollowerLock(RunFolder(Path(sys.argv[1]))).acquire()
print("held", flush=True)
time.sleep(100)
"""


@pytest.fixture(autouse=True)
def _open_umask():
    old = os.umask(0)
    yield
    os.umask(old)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "r1")
    folder.make()
    return folder


@pytest.fixture
def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# Home


def test_a_new_home_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("CCNB_HOME", str(tmp_path / "a" / "b"))
    assert home() == tmp_path / "a" / "b"
    assert (mode(home()), mode(home() / "runs")) == (0o700, 0o700)


def test_a_folder_that_was_there_keeps_its_permissions_and_the_runs_in_it_are_private(tmp_path, monkeypatch):
    """CCNB_HOME=/tmp must not close /tmp to all others."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    monkeypatch.setenv("CCNB_HOME", str(shared))
    assert mode(home()) == 0o755
    assert mode(home() / "runs") == 0o700


def test_a_relative_home_is_meant_from_here_and_a_tilde_from_the_users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("CCNB_HOME", "here")
    assert home() == tmp_path / "here"
    monkeypatch.setenv("CCNB_HOME", "~/there")
    assert home() == tmp_path / "me" / "there"


def test_without_a_name_it_is_the_users_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CCNB_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home().is_relative_to(tmp_path)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_home_that_is_a_file_is_told(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("CCNB_HOME", str(tmp_path / name))
    with pytest.raises(StoreError, match="set CCNB_HOME to another"):
        home()


# Run folders


def test_a_run_folder_is_private_in_each_of_its_parts(folder):
    assert (mode(folder.path), mode(folder.inside)) == (0o700, 0o700)
    folder.make()  # and may be made twice


def test_an_inner_part_that_was_made_for_it_can_lie_elsewhere(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.make(movable=True)
    folder.make(movable=True)
    assert folder.inside.resolve().parent == folder.path
    assert folder.inside.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.mkdir()
    folder.move_inside(other)
    folder.touch_inside("stop")
    assert [file.name for file in other.iterdir()] == ["stop"]
    folder.remove()
    assert (other / "stop").exists()


def test_private_values_are_written_whole_and_for_the_user_only(folder):
    assert folder.read_private("secrets") is None
    folder.write_private("secrets", {"TOKEN": "é\udcff"})
    folder.write_private("secrets", {"TOKEN": "b"})
    assert folder.read_private("secrets") == {"TOKEN": "b"}
    assert mode(folder.path / "secrets") == 0o600
    assert sorted(path.name for path in folder.path.iterdir()) == ["inside", "secrets"]
    folder.forget_private("secrets")
    folder.forget_private("secrets")
    assert folder.read_private("secrets") is None


def test_private_values_are_not_in_the_part_that_the_place_sees(folder):
    folder.write_private("secrets", {"TOKEN": "b"})
    assert list(folder.inside.iterdir()) == []


def test_a_value_that_fails_to_be_written_leaves_the_one_before(folder):
    folder.write_private("secrets", {"TOKEN": "a"})
    with pytest.raises(TypeError):
        folder.write_private("secrets", {"TOKEN": object()})
    assert folder.read_private("secrets") == {"TOKEN": "a"}


def test_a_removed_folder_is_gone_and_may_be_removed_again(folder):
    (folder.inside / "out").write_text("x")
    folder.remove()
    folder.remove()
    assert not folder.path.exists()


# The lock


def test_one_follows_and_the_next_is_told_how_to_watch(folder):
    with FollowerLock(folder), pytest.raises(RunBusyError, match="ccnb attach r1"):
        FollowerLock(folder).acquire()
    with FollowerLock(folder):
        pass


def test_another_process_keeps_it(folder, holder):
    lock = FollowerLock(folder)
    assert lock.held_elsewhere
    with pytest.raises(RunBusyError):
        lock.acquire()


def test_it_is_free_when_its_holder_is_killed(folder, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not FollowerLock(folder).held_elsewhere
    FollowerLock(folder).acquire().release()


def test_programs_that_its_holder_starts_do_not_keep_it(folder):
    lock = FollowerLock(folder).acquire()
    sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        FollowerLock(folder).acquire().release()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_who_has_it_does_not_have_it_elsewhere(folder):
    lock = FollowerLock(folder)
    assert not lock.held_elsewhere
    with lock:
        assert not lock.held_elsewhere
        assert FollowerLock(folder).held_elsewhere
    assert not lock.held_elsewhere
    lock.release()  # harmless


def test_a_run_without_a_folder_is_held_by_nobody(tmp_path):
    assert not FollowerLock(RunFolder(tmp_path / "none")).held_elsewhere


def test_the_lock_is_for_the_user_only(folder):
    with FollowerLock(folder):
        assert mode(folder.path / "lock") == 0o600


# What the agent may have put into the part that its place sees


def test_a_file_inside_is_read_and_a_link_a_folder_and_a_pipe_are_none(folder, tmp_path):
    (tmp_path / "secret").write_text("of the user")
    (folder.inside / "plain").write_text("of the agent")
    (folder.inside / "link").symlink_to(tmp_path / "secret")
    (folder.inside / "folder").mkdir()
    os.mkfifo(folder.inside / "pipe")
    with os.fdopen(folder.open_inside("plain")) as plain:
        assert plain.read() == "of the agent"
    for name in ("link", "folder", "pipe", "nothing"):
        assert folder.open_inside(name) is None


def test_a_mark_inside_is_made_but_not_where_a_link_leads(folder, tmp_path):
    folder.touch_inside("done")
    (folder.inside / "link").symlink_to(tmp_path / "elsewhere")
    folder.touch_inside("link")
    assert (folder.inside / "done").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_signs_of_life_are_told_apart_from_none(folder):
    assert not folder.has_begun
    assert folder.heartbeat_age_s == float("inf")
    (folder.inside / "steps").touch()
    (folder.inside / "heartbeat").touch()
    assert folder.has_begun
    assert -1 < folder.heartbeat_age_s < 60


def test_an_end_is_wanted_once_it_was_asked_for(folder):
    assert not folder.cancel_wanted
    folder.want_cancel()
    assert folder.cancel_wanted
