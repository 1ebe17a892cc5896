"""Where things lie: the store's home and the folder of each run."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import platformdirs

from ccnb.errors import RunBusyError, StoreError

_LAID_OUT = "inside.first"
_WATCHED_S = 5.0
"""How long one look counts as watching."""


def home() -> Path:
    """Return the store's home: `CCNB_HOME`, else the user's data folder; made private if it is new.

    Raises
    ------
    StoreError
        It can't be made, or it is a file.
    """
    named = os.environ.get("CCNB_HOME")
    path = Path(named).expanduser().absolute() if named else platformdirs.user_data_path("ccnb")
    try:
        # A folder that was there before may be anything (CCNB_HOME=/tmp): it stays as it is.
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (path / "runs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(
            f"the store's folder {path} can't be used ({error.strerror}); set CCNB_HOME to another"
        ) from error
    return path


def store_label(home: Path) -> str:
    """Return by what everything that the store of a home has made elsewhere is told from another's."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. `inside` is the part of it that the place sees."""

    path: Path

    @property
    def inside(self) -> Path:
        """Return what is mounted in the place: the supervisor and all that it writes."""
        return self.path / "inside"

    @property
    def workspace(self) -> Path:
        """Return the run's own workspace: a fresh one, or the copy of a named one."""
        return self.path / "workspace"

    @property
    def patch(self) -> Path:
        """Return the file that holds the changes as a patch."""
        return self.path / "changes.patch"

    @property
    def clean_patch(self) -> Path:
        """Return the file that holds the patch without the run's secrets, where it had some."""
        return self.path / "clean.patch"

    @property
    def has_begun(self) -> bool:
        """Return whether a supervisor has written here."""
        return (self.inside / "steps").exists()

    @property
    def heartbeat_age_s(self) -> float:
        """Return how long ago the supervisor gave its last sign of life; infinite without any."""
        try:
            return time.time() - (self.inside / "heartbeat").lstat().st_mtime
        except OSError:
            return math.inf

    def open_inside(self, name: str) -> int | None:
        """Open a file of the inner part for reading; return its descriptor, or `None` without one.

        The agent can put there what it likes: a link leads nowhere, and what could block is no file.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self.inside / name, flags)
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def touch_inside(self, name: str) -> None:
        """Make an empty file in the inner part; a link of that name is not followed."""
        with suppress(OSError):
            os.close(os.open(self.inside / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK))

    @property
    def cancel_wanted(self) -> bool:
        """Return whether a process that only watches the run has asked for its end."""
        return (self.path / "cancel").exists()

    def want_cancel(self) -> None:
        """Ask whoever follows the run for its end."""
        (self.path / "cancel").touch()

    @property
    def is_watched(self) -> bool:
        """Return whether somebody has just looked at how the run goes."""
        try:
            return time.time() - (self.path / "watcher").stat().st_mtime < _WATCHED_S
        except OSError:
            return False

    def note_watcher(self) -> None:
        """Note that somebody looks at how the run goes."""
        (self.path / "watcher").touch()

    def make(self, *, movable: bool = False) -> None:
        """Make the folders, private to the user; the inner part, if wanted, so that it can be moved."""
        # mkdir gives its mode to the last folder only.
        self.path.mkdir(parents=True, mode=0o700, exist_ok=True)
        if movable and not self.inside.exists():
            (self.path / _LAID_OUT).mkdir(mode=0o700, exist_ok=True)
            self.move_inside(Path(_LAID_OUT))
        self.inside.mkdir(mode=0o700, exist_ok=True)

    def move_inside(self, target: Path) -> None:
        """Let the inner part, which was made to be moved, lie in another folder from now on."""
        scratch = self.path / ".inside"
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(target)
        scratch.replace(self.inside)

    def write_private(self, name: str, value: Any) -> None:
        """Write a JSON value to a file that only the user can read, whole or not at all."""
        scratch = self.path / f".{name}.new"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        scratch.replace(self.path / name)

    def read_private(self, name: str) -> Any:
        """Return what `write_private` wrote, or `None`."""
        try:
            return json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None

    def forget_private(self, name: str) -> None:
        """Remove such a file."""
        (self.path / name).unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all files of the run."""
        return folder_size(self.path)

    def remove(self) -> None:
        """Remove everything of the run."""
        shutil.rmtree(self.path, ignore_errors=True)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


class FollowerLock:
    """Held by the one process that follows a run, for as long as it lives; the kernel lets go of it."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / "lock"
        self._descriptor = -1

    def acquire(self) -> Self:
        """Take the lock.

        Raises
        ------
        RunBusyError
            Another living process has it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            run_id = self._path.parent.name
            raise RunBusyError(
                f"run {run_id} is followed by another process; watch it with `ccnb attach {run_id}`"
            ) from None
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Let go; harmless when not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def held_elsewhere(self) -> bool:
        """Return whether another living process, or another part of this one, has it."""
        if self._descriptor >= 0:
            return False
        try:
            probe = FollowerLock(RunFolder(self._path.parent)).acquire()
        except RunBusyError:
            return True
        except FileNotFoundError:
            return False
        probe.release()
        return False

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
