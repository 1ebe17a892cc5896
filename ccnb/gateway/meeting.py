"""Where a store's gateway and its clients meet: folders, sockets, and locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccnb.errors import GatewayError

LONGEST_SOCKET_PATH = 104
"""Bytes of a unix socket's path that every system takes (macOS is the narrowest)."""

EGRESS_SOCKET = "egress.sock"

_POLL_S = 0.01


@dataclass(frozen=True)
class Rendezvous:
    """The files by which clients and the gateway of one store find each other."""

    home: Path
    folder: Path
    """Private to the user; its parent is `ccnb-<uid>` in the folder for temporary files."""

    @property
    def socket_dir(self) -> Path:
        """Folder of the sockets for places, the only part that these see."""
        return self.folder / "s"

    @property
    def socket(self) -> Path:
        """The API's socket."""
        return self.socket_dir / "api.sock"

    @property
    def egress(self) -> Path:
        """The egress proxy's socket."""
        return self.socket_dir / EGRESS_SOCKET

    @property
    def control(self) -> Path:
        """Socket by which clients ask the process itself."""
        return self.folder / "control.sock"

    @property
    def serving(self) -> Path:
        """File that the gateway keeps locked for as long as it lives."""
        return self.folder / "serving.lock"

    @property
    def lock(self) -> Path:
        """File that is locked while a gateway is started or ended."""
        return self.home / "gateway.lock"

    @property
    def state(self) -> Path:
        """File with the running gateway's id, folder and ports."""
        return self.home / "gateway.state"

    @property
    def log(self) -> Path:
        """File with what the gateway prints."""
        return self.home / "gateway.log"


def meeting(home: Path) -> Rendezvous:
    """Return the files of a store's gateway, their folders made and found to be ours alone.

    Raises
    ------
    GatewayError
        Somebody else owns the folder for the socket.
    """
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    top = Path(tempfile.gettempdir()) / f"ccnb-{os.geteuid()}"
    if len(os.fsencode(top / name / "s" / "api.sock.new")) >= LONGEST_SOCKET_PATH:
        # Safe although shared: what lies below is checked to be ours.
        top = Path("/tmp") / top.name  # noqa: S108 - see above
    for folder in (top, top / name):
        _own_folder(folder)
    files = Rendezvous(home, top / name)
    # Open to all inside a folder that is closed to all: a container sees this one alone, by another user id.
    files.socket_dir.mkdir(exist_ok=True)
    files.socket_dir.chmod(0o755)
    return files


@contextlib.contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold an exclusive lock on a file.

    Raises
    ------
    GatewayError
        Another process holds it for longer than `timeout_s`.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise GatewayError(f"can't lock {path}: {error.strerror}; make its folder writable") from None
    try:
        deadline = time.monotonic() + timeout_s
        while not try_lock(fd):
            if time.monotonic() > deadline:
                raise GatewayError(f"another process holds {path} for {timeout_s:g} s; end it and try again")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Lock an open file without waiting; False when another process has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def answers(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
    return True


def _own_folder(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise GatewayError(f"{path} is no folder of yours; have its owner remove it, or set TMPDIR")
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)
