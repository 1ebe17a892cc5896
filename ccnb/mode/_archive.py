"""Files of a place that can't see our folders: in and out as archives, followed by an exec."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ccnb.engine import Engine
from ccnb.errors import CcnbError
from ccnb.mode import _files
from ccnb.mode.base import Place, Plan
from ccnb.store import RunFolder

_IN_MEMORY = 8 << 20
_PAUSE_S = 0.25
_LOOK = 'tail -c +"$2" "$1" 2>/dev/null | head -c 4194304'


def put(engine: Engine, place: Place, plan: Plan) -> None:
    """Send the run folder and the workspace into a container, owned by the agent."""
    uid, _, gid = str(place.details["user"]).partition(":")

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid, entry.gid, entry.uname, entry.gname = int(uid), int(gid), "", ""
        return entry

    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(plan.folder.inside, plan.layout.inside.lstrip("/"), filter=owned)
            archive.add(plan.workspace, plan.layout.workspace.lstrip("/"), filter=owned)
        buffer.seek(0)
        engine.put(place.id, buffer)


def get(engine: Engine, place: Place, folder: RunFolder, workspace: Path) -> None:
    """Bring the run folder and the workspace of a container back; what was removed there goes here too.

    Raises
    ------
    CcnbError
        Something in it can't be made here; nothing is removed then.
    """
    try:
        _unpack(engine, place, "/ccnb", folder.inside, prune=False)
        _unpack(engine, place, "/workspace", workspace, prune=True)
    except (tarfile.TarError, KeyError, OSError) as error:
        raise CcnbError(
            f"the files of run {place.run_id} can't be unpacked ({error}); look into its place with keep=True"
        ) from error


def _unpack(engine: Engine, place: Place, source: str, target: Path, *, prune: bool) -> None:
    seen: set[Path] = set()
    with engine.get(place.id, source) as archive:
        for entry in archive:
            _, _, name = entry.name.partition("/")
            if not name:
                continue
            entry.name = name
            if entry.islnk():
                entry.linkname = entry.linkname.partition("/")[2]
            seen.add(target / name)
            if entry.issym():
                _link(entry.linkname, target, name)
            else:
                # The filter refuses entries that would leave the target, by a link or by a name.
                archive.extract(entry, target, filter="data")
    if prune:
        for path in sorted(target.rglob("*"), reverse=True):
            if path not in seen:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _link(to: str, target: Path, name: str) -> None:
    """Make a symbolic link as it was there, wherever it leads: it is kept, never followed."""
    path = target / name
    if not path.parent.resolve().is_relative_to(target.resolve()):
        raise tarfile.OutsideDestinationError(tarfile.TarInfo(name), str(path))
    path.unlink(missing_ok=True)
    path.symlink_to(to)


async def follow(engine: Engine, place: Place, path: str, offset: int) -> AsyncIterator[bytes]:
    """Yield a file's bytes from an offset on, by one short exec after the other."""
    while True:
        argv = ["sh", "-c", _LOOK, "look", path, str(offset + 1)]
        _, chunk = await asyncio.to_thread(engine.exec, place.id, argv, place.details["user"])
        offset += len(chunk)
        for start in range(0, len(chunk), _files.CHUNK):
            yield chunk[start : start + _files.CHUNK]
            await asyncio.sleep(0)
        if not chunk:
            yield b""
            await asyncio.sleep(_PAUSE_S)
