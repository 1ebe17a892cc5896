"""The SQLite file itself: opened as its file system allows, one connection for each that uses it at once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ccnb.errors import StoreError
from ccnb.store.schema import migrate

_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph"}
_PATIENCE_S = 30.0


_known: weakref.WeakValueDictionary[Path, Database] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_of_parents: list[sqlite3.Connection] = []
"""Kept to the end: to close what was opened before a fork is not allowed to the child."""


class Database:
    """One SQLite file. Safe to use from several threads and processes at once.

    Raises
    ------
    StoreError
        From any method: the file can't be read or written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: tuple[int, int] | None = None
        # Each costs two open files, of which a process may have few: so as many as work at once, no more.
        self._idle: list[sqlite3.Connection] = []
        # By itself a connection, which refers to itself, is closed only when garbage is collected.
        weakref.finalize(self, _close, self._idle).atexit = False

    @classmethod
    def of(cls, file: Path) -> Database:
        """Return what all of this process that use a file share, while the file is the same one."""
        with _lock:
            known = _known.get(file)
            if known is None or known.is_replaced():
                known = _known[file] = cls(file)
        return known

    def read(self, query: str, values: Sequence[Any]) -> list[Any]:
        """Return the rows of a query."""
        try:
            with self._connection() as db:
                return db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(
                f"the store {self._file} can't be read ({error}); mend it, or name another in CCNB_HOME"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all that is written with the connection, or nothing of it."""
        try:
            with self._connection() as db:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(
                f"the store {self._file} can't be written ({error}); make room or mend it, then attach again"
            ) from error

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        _close(self._idle)

    def leave_to_parent(self) -> None:
        """Forget the connections of the process that this one was forked from, and never close them."""
        _of_parents.extend(self._idle)
        self._idle.clear()

    def is_replaced(self) -> bool:
        """Return whether the file that was opened is not the one that lies there now."""
        return self._opened not in (None, _identity(self._file))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one thread; afterwards another may have it."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._connect()
        try:
            yield db
        except BaseException:
            # Which undoes what was not committed.
            db.close()
            raise
        # Closing it would free no file while another is open: SQLite keeps those for the locks' sake.
        self._idle.append(db)

    def _connect(self) -> sqlite3.Connection:
        try:
            self._file.touch(mode=0o600)
            db = sqlite3.connect(
                self._file, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._set_up(db)
            except BaseException:
                db.close()
                raise
            self._opened = _identity(self._file)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the store {self._file} can't be opened ({error}); mend it, or name another in CCNB_HOME"
            ) from error
        return db

    def _set_up(self, db: sqlite3.Connection) -> None:
        # Shared memory, which WAL needs, does not work across machines.
        wal = _file_system(self._file) not in _NETWORK_FILE_SYSTEMS
        _set_journal(db, "WAL" if wal else "DELETE")
        db.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
        db.execute("PRAGMA foreign_keys = ON")
        migrate(db)


def _close(idle: list[sqlite3.Connection]) -> None:
    while idle:
        idle.pop().close()


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin_anew() -> None:
    """Let a forked process open connections of its own: SQLite's must not be carried over."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    for database in list(_known.values()):
        database.leave_to_parent()


os.register_at_fork(after_in_child=_begin_anew)


def _set_journal(db: sqlite3.Connection, mode: str) -> None:
    """Set the journal's mode; SQLite doesn't wait by itself for another process that does so too."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.005)


def _file_system(path: Path) -> str:
    """Return the type of the file system that holds a path; empty where the kernel doesn't say."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in mounts:
        _, point, kind, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
