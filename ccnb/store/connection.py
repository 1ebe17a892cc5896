"""The SQLite file itself: opened as its file system allows, one connection for each thread."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ccnb.errors import StoreError
from ccnb.store.schema import migrate

_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph"}
_PATIENCE_S = 30.0


class Database:
    """One SQLite file. Safe to use from several threads and processes at once.

    Raises
    ------
    StoreError
        From any method: the file can't be read or written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = threading.local()

    def read(self, query: str, values: Sequence[Any]) -> list[Any]:
        """Return the rows of a query."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(
                f"the store {self._file} can't be read ({error}); mend it, or name another in CCNB_HOME"
            ) from error

    def close(self) -> None:
        """Close this thread's connection."""
        if connection := getattr(self._threads, "connection", None):
            connection.close()
            del self._threads.connection

    @property
    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        try:
            self._file.touch(mode=0o600)
            db = sqlite3.connect(self._file, timeout=_PATIENCE_S, isolation_level=None)
            # Shared memory, which WAL needs, does not work across machines.
            wal = _file_system(self._file) not in _NETWORK_FILE_SYSTEMS
            _set_journal(db, "WAL" if wal else "DELETE")
            db.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
            db.execute("PRAGMA foreign_keys = ON")
            migrate(db)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the store {self._file} can't be opened ({error}); mend it, or name another in CCNB_HOME"
            ) from error
        return db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all that is written with the connection, or nothing of it."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(
                f"the store {self._file} can't be written ({error}); make room or mend it, then attach again"
            ) from error


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
