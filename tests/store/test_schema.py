"""The tables are made once, brought forward, and never back."""

from __future__ import annotations

import sqlite3

import pytest

from ccnb.errors import StoreError
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store
from ccnb.store.schema import MIGRATIONS, migrate


@pytest.fixture
def database(tmp_path):
    connection = sqlite3.connect(tmp_path / "ccnb.sqlite3", isolation_level=None)
    yield connection
    connection.close()


def version(database):
    return database.execute("PRAGMA user_version").fetchone()[0]


def tables(database):
    return database.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()


def test_a_new_file_gets_the_tables_of_this_version(database):
    migrate(database)
    assert version(database) == len(MIGRATIONS)
    names = {row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert names == {"runs", "events", "places", "calls", "comparisons", "attempts"}


def test_a_second_time_changes_nothing(database):
    migrate(database)
    before = tables(database)
    migrate(database)
    assert tables(database) == before


@pytest.mark.parametrize("steps", range(len(MIGRATIONS) + 1))
def test_a_file_of_any_older_version_ends_as_a_new_one(database, tmp_path, steps):
    for number, step in enumerate(MIGRATIONS[:steps]):
        database.executescript(step)
        database.execute(f"PRAGMA user_version = {number + 1}")
    migrate(database)
    new = sqlite3.connect(":memory:", isolation_level=None)
    migrate(new)
    assert tables(database) == tables(new)
    assert version(database) == version(new)


def test_events_of_an_older_version_are_kept(database):
    for number, step in enumerate(MIGRATIONS[:3]):
        database.executescript(step)
        database.execute(f"PRAGMA user_version = {number + 1}")
    for run in (1, 2):
        runs = "INSERT INTO runs (run, run_id, mode, state, created_at, spec, fingerprint, progress)"
        database.execute(f"{runs} VALUES (?, ?, '', '', 0, '', '', '')", (run, f"r{run}"))
    events = [
        (run, at, 0.5, 0.5, "x", None, None, None, None, None, 0, "{}") for run in (1, 2) for at in (0, 9)
    ]
    database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", events[::-1])
    migrate(database)
    assert database.execute("SELECT * FROM events").fetchall() == events


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(database, tmp_path):
    migrate(database)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = tables(database)
    with pytest.raises(StoreError, match="upgrade ccnb-toolkit"):
        migrate(database)
    with pytest.raises(StoreError, match="upgrade ccnb-toolkit"):
        Store(tmp_path).runs()
    with pytest.raises(StoreError, match="upgrade ccnb-toolkit"):
        Store(tmp_path).add_run("r1", RunSpec(prompt="x"), Progress())
    assert tables(database) == before
    assert version(database) == len(MIGRATIONS) + 1


def test_events_of_no_run_cannot_be_there(tmp_path):
    store = Store(tmp_path)
    store.add_run("r1", RunSpec(prompt="x"), Progress())
    with pytest.raises(StoreError, match="FOREIGN KEY constraint failed"):
        store.write("INSERT INTO events VALUES (99, 0, 0, 0, 'x', '', '', '', '', '', 0, '')")
    store.close()
