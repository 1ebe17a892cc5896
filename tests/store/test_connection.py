"""The connections to the file: few, shared by all that use the same file, and not carried to a fork."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from ccnb.errors import StoreError
from ccnb.store.connection import Database


@pytest.fixture
def file(tmp_path):
    return tmp_path / "store.sqlite3"


def open_files(file):
    """Return how many files this process has open that belong to a database, also one that was removed."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += str(descriptor.readlink()).startswith(str(file))
    return found


def runs(database):
    return database.read("SELECT run_id FROM runs ORDER BY run_id", ())


def add(database, run_id):
    with database.transaction() as db:
        db.execute(
            "INSERT INTO runs (run_id, mode, state, created_at, spec, fingerprint, progress)"
            " VALUES (?, 'local', 'preparing', 0, '{}', '', '{}')",
            (run_id,),
        )


def test_all_that_use_a_file_share_what_is_open(file):
    runs(Database.of(file))
    one = [Database.of(file) for _ in range(300)]
    with ThreadPoolExecutor(32) as threads:
        for database in one:
            threads.submit(runs, database)
    # As many as worked at one moment: two files each, and one for all.
    assert 3 <= open_files(file) <= 2 * 32 + 1


def test_threads_that_work_one_after_another_share_one_connection(file):
    database = Database.of(file)
    for _ in range(20):
        thread = threading.Thread(target=runs, args=(database,))
        thread.start()
        thread.join()
    assert open_files(file) == 3


def test_nothing_stays_open_when_nobody_uses_the_file_any_more(file):
    database = Database.of(file)
    runs(database)
    del database
    assert open_files(file) == 0


def test_a_file_that_was_removed_is_made_anew_for_whoever_comes_next(file):
    before = Database.of(file)
    add(before, "r1")
    for name in (file, *file.parent.glob("*-wal"), *file.parent.glob("*-shm")):
        name.unlink(missing_ok=True)
    after = Database.of(file)
    add(after, "r2")
    assert runs(after) == [("r2",)]
    assert Database(file).read("SELECT count(*) FROM runs", ()) == [(1,)]


def forget_all_but_for_an_interrupt(database):
    with database.transaction() as db:
        db.execute("DELETE FROM runs")
        raise KeyboardInterrupt


def test_what_fails_halfway_is_undone_and_the_next_begins_anew(file):
    database = Database.of(file)
    add(database, "r1")
    with pytest.raises(KeyboardInterrupt):
        forget_all_but_for_an_interrupt(database)
    with pytest.raises(StoreError, match="can't be written"):
        add(database, "r1")
    add(database, "r2")
    assert runs(database) == [("r1",), ("r2",)]


def test_a_file_that_can_not_be_used_is_not_kept_open(file):
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="can't be opened"):
        runs(Database.of(file))
    assert open_files(file) == 0


def test_a_forked_process_opens_connections_of_its_own(file):
    database = Database.of(file)
    add(database, "r1")
    child = multiprocessing.get_context("fork").Process(target=add, args=(database, "r2"))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    add(database, "r3")
    assert runs(database) == [("r1",), ("r2",), ("r3",)]
