"""A lock on a run's sandbox, which outlives the client that a program was called by."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LEFT_S = 30.0
"""How long what a killed client has left may go on."""


@contextmanager
def alone(folder: Path) -> Iterator[int | None]:
    """Wait until no program works on a run's sandbox any more; give the lock to pass on to the next.

    A client that is killed leaves the program that it has called, which may then make the sandbox, or start
    the supervisor, after the next client has looked.
    """
    if not folder.is_dir():
        yield None
        return
    lock = os.open(folder / "sandbox.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + _LEFT_S
    try:
        while not _locked(lock) and time.monotonic() < end:
            time.sleep(0.02)
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
