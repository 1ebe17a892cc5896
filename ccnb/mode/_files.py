"""Files of a place that lies on this machine: follow one as it grows, give ownership there and back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ccnb.store import RunFolder

CHUNK = 1 << 14
"""Bytes taken at once: about a hundred events, so that a run that writes much doesn't hold up the others."""
_FAST_S = 0.004
_SLOW_S = 0.012
_AWAKE = 64
"""Looks after the last bytes for which the file is watched at the fast pace."""
_FEW = 4
"""Files at once, two of each run, that are. With more, the looks would take a good part of all our time."""

_followed = 0
"""Files that this process follows."""


async def follow(folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
    """Yield a file's bytes from an offset on; an empty chunk each time that there is nothing new.

    A file that isn't there yet is waited for. Neither inotify nor an engine's log is used: a mounted
    folder may be shared by a virtual machine, and logs change bytes.
    """
    global _followed  # noqa: PLW0603 - the pace of each depends on all
    descriptor, idle = None, 0
    _followed += 1
    try:
        while (descriptor := folder.open_inside(name)) is None:
            yield b""
            await asyncio.sleep(_pace_s(idle))
            idle += 1
        idle = 0
        while True:
            chunk = os.pread(descriptor, CHUNK, offset)
            yield chunk
            offset += len(chunk)
            idle = 0 if chunk else idle + 1
            # There is more after a full one. The other runs, and whoever wants this one to end, get their
            # turn first.
            await asyncio.sleep(0 if len(chunk) == CHUNK else _pace_s(idle))
    finally:
        _followed -= 1
        if descriptor is not None:
            os.close(descriptor)


def _pace_s(idle: int) -> float:
    """Return how long to wait after so many looks that found nothing."""
    return _FAST_S if idle < _AWAKE and _followed <= _FEW else _SLOW_S


def owners(folder: Path, uid: int) -> dict[str, tuple[int, int]]:
    """Return, by path, the owners that are neither a user nor ourselves: what `reclaim` must know."""
    mine = (uid, os.getuid())
    return {p: (s.st_uid, s.st_gid) for p, s, _ in _owned(folder) if s.st_uid not in mine}


def lend(folder: Path, uid: int) -> None:
    """Give a folder and all in it to a user.

    Needed where we are root and the agent, for good reason, is not. `reclaim` undoes it.
    """
    for _, status, chown in _owned(folder):
        if status.st_uid != uid:
            chown(uid, status.st_gid)


def reclaim(folder: Path, uid: int, earlier: Mapping[str, Sequence[int]]) -> None:
    """Take back what `lend` gave, and what the user made there."""
    for path, status, chown in _owned(folder):
        if status.st_uid != uid:
            continue
        owner, group = earlier.get(path, (os.getuid(), status.st_gid))
        chown(owner, os.getgid() if group == uid else group)


def _owned(folder: Path) -> Iterator[tuple[str, os.stat_result, Callable[[int, int], None]]]:
    """Yield each entry's path below the folder, its status, and a way to change its owner.

    All goes by open folders and never through a link, so that an agent that swaps one while we walk
    can't point us elsewhere.
    """
    status = folder.lstat()
    yield ".", status, lambda u, g: os.chown(folder, u, g, follow_symlinks=False)
    for root, names, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*names, *files):
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            change = partial(_change_owner, name, descriptor)
            yield str(Path(root, name).relative_to(folder)), status, change


def _change_owner(name: str, folder: int, uid: int, gid: int) -> None:
    """Change the owner of an entry of an open folder; of one that has gone meanwhile there is none."""
    with suppress(FileNotFoundError):
        os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
