"""Files of a place that can't see our folders: in and out as archives, followed by an exec."""

from __future__ import annotations

import asyncio
import os
import shutil
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
            if name and make(archive, entry, target, name):
                seen.add(target / name)
    if prune:
        for path in sorted(target.rglob("*"), reverse=True):
            if path not in seen:
                remove(path)


def make(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, name: str) -> bool:
    """Make one entry as it was there, ours and without set-id bits; `False` for pipes and devices.

    A link is kept wherever it leads, and never followed: neither one that came with the archive nor one of
    the caller's own.
    """
    path = _inside(target, name)
    if not (entry.isdir() and path.is_dir() and not path.is_symlink()):
        remove(path)
    content = archive.extractfile(entry) if entry.isreg() else None
    if entry.isdir():
        path.mkdir(exist_ok=True)
        path.chmod(entry.mode & 0o777 | 0o700)
    elif entry.issym():
        path.symlink_to(entry.linkname)
    elif entry.islnk():
        path.hardlink_to(_inside(target, entry.linkname.partition("/")[2]))
    elif content is not None:
        with path.open("xb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(entry.mode & 0o777 | 0o600)
        os.utime(path, (entry.mtime, entry.mtime))
    else:
        return False
    return True


def _inside(target: Path, name: str) -> Path:
    """Return the path of a name, if no link on the way leads out of the target."""
    path = target / name
    if ".." in path.parts or not path.parent.resolve().is_relative_to(target.resolve()):
        raise tarfile.ReadError(f"{name} leads out of the folder")
    return path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
