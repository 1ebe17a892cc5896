"""Files of a place that nothing but short commands reaches: sent and fetched in checked parts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import secrets
import shlex
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO

from ccnb.errors import CcnbError, OutOfReachError, PlaceLostError, SpecError
from ccnb.mode import _archive
from ccnb.mode.base import Plan
from ccnb.store import RunFolder

Run = Callable[[Sequence[str], str], Awaitable[str]]
"""Runs a command in the place as root, with standard input; returns what it printed."""

PART = 360_000
"""Bytes sent or fetched at once; in base64 they stay below half a megabyte."""
LARGEST_ARCHIVE = 100 << 20

_SENT = "sent"
_TRIES = 3
_PACK_LIMIT_S = 900.0


def script(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of the scripts for machines."""
    text = files("ccnb").joinpath("data", "machine", name).read_text()
    return ["sh", "-c", text, name, *map(str, arguments)]


def as_user(uid: int, argv: Sequence[str]) -> list[str]:
    """Return a command as the agent's user has it: without any power."""
    who = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return ["setpriv", *who, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *argv]


# In


def packed(plan: Plan, uid: int, more: Mapping[str, bytes]) -> IO[bytes]:
    """Return an archive of the run folder, the workspace without what git ignores, the command, and more.

    Parameters
    ----------
    more
        Files for root alone, by their paths in the machine.

    Raises
    ------
    SpecError
        The workspace is too large to be sent.
    """
    buffer = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid, entry.gid, entry.uname, entry.gname = uid, uid, "", ""
        return entry

    names = list(_kept(plan))
    plan.folder.write_private(_SENT, names)
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as archive:
        archive.add(plan.folder.inside, "ccnb", filter=owned)
        archive.add(plan.workspace, "workspace", filter=owned, recursive=False)
        for name in names:
            archive.add(plan.workspace / name, f"workspace/{name}", filter=owned, recursive=False)
            if buffer.tell() > LARGEST_ARCHIVE:
                raise SpecError(
                    f"workspace {plan.workspace} is larger than {LARGEST_ARCHIVE >> 20} MB, compressed; "
                    "name what isn't needed in its .gitignore, or name a smaller folder"
                )
        for name, content in {"run/ccnb/command": shlex.join(plan.command).encode(), **more}.items():
            archive.addfile(_roots(name, len(content)), io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _roots(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o700, int(time.time())
    return entry


def _kept(plan: Plan) -> Iterator[str]:
    """Yield the paths of the workspace that go with a run, each folder before what is in it."""
    seen: set[str] = set()
    for name in sorted({*_known_to_git(plan), *_all_below(plan.workspace, ".git"), *_sentinels(plan)}):
        path = plan.workspace / name
        if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and name not in seen):
            continue
        for parent in reversed(Path(name).parents[:-1]):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield str(parent)
        if name not in seen:
            seen.add(name)
            yield name


def _known_to_git(plan: Plan) -> list[str]:
    """Return what git doesn't ignore, by the run's own private git folder."""
    folder = plan.folder.path.absolute() / "git"
    if not folder.exists():
        return []
    command = ["git", f"--git-dir={folder}", f"--work-tree={plan.workspace.absolute()}", "ls-files", "-z"]
    done = subprocess.run(
        [*command, "--cached", "--others", "--exclude-standard"],
        cwd=plan.workspace,
        env={**os.environ, "GIT_INDEX_FILE": str(folder / "index"), "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CcnbError(f"git can't list {plan.workspace}: {done.stderr.decode(errors='replace').strip()}")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _all_below(workspace: Path, top: str) -> Iterator[str]:
    for root, _, names in os.walk(workspace / top):
        for name in names:
            yield str(Path(root, name).relative_to(workspace))


def _sentinels(plan: Plan) -> list[str]:
    return [path.name for path in plan.workspace.glob(".ccnb-*")]


async def send(run: Run, archive: IO[bytes]) -> None:
    """Send an archive; with its last part the run begins.

    Raises
    ------
    CcnbError
        It doesn't arrive as it was sent.
    """
    size = archive.seek(0, os.SEEK_END)
    count = max(1, -(-size // PART))
    for number in range(count):
        archive.seek(number * PART)
        part = archive.read(PART)
        wanted = hashlib.sha256(part).hexdigest()
        for _ in range(_TRIES):
            said = await run(script("put.sh", number, count, wanted), base64.b64encode(part).decode())
            if said.strip() == wanted:
                break
        else:
            raise CcnbError(f"the run's files don't arrive whole ({said.strip()[:80]!r}); run it again")


# Out


async def fetch(run: Run, uid: int, folder: RunFolder, workspace: Path) -> None:
    """Bring the run folder, and what is new in the workspace, back; what was removed there goes here too.

    What was never sent (ignored files, say) is never touched.

    Raises
    ------
    CcnbError
        Something in it can't be made here.
    """
    name = secrets.token_hex(4)
    size, wanted, part = await _pack(run, uid, name)
    with tempfile.TemporaryFile() as buffer:
        digest = hashlib.sha256(part)
        buffer.write(part)
        while (offset := buffer.tell()) < size:
            part = base64.b64decode(await run(script("get.sh", name, offset, PART), ""))
            if not part:
                raise PlaceLostError("the files of the run can't be fetched; attach to it again")
            digest.update(part)
            buffer.write(part)
        if digest.hexdigest() != wanted:
            raise OutOfReachError("the files of the run did not come whole; attach to it again")
        buffer.seek(0)
        await asyncio.to_thread(_unpack, buffer, folder, workspace)


async def _pack(run: Run, uid: int, name: str) -> tuple[int, str, bytes]:
    """Return the archive's size, its sum and its first part."""
    until = time.monotonic() + _PACK_LIMIT_S
    while time.monotonic() < until:
        said = (await run(script("pack.sh", uid, name, PART), "")).split()
        if len(said) == 3:
            return int(said[0]), said[1], base64.b64decode(said[2])
    raise CcnbError(f"packing the run's files took more than {_PACK_LIMIT_S:.0f} s; look into its place")


def _unpack(buffer: IO[bytes], folder: RunFolder, workspace: Path) -> None:
    targets = {"ccnb": folder.inside, "workspace": workspace}
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=buffer, mode="r:gz") as archive:
            for entry in archive:
                top, _, name = entry.name.partition("/")
                if entry.name == "names" and (content := archive.extractfile(entry)) is not None:
                    paths = content.read().split(b"\0")
                    names = {os.fsdecode(path.removeprefix(b"./")) for path in paths}
                elif top in targets and name:
                    _archive.make(archive, entry, targets[top], name)
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
        raise CcnbError(
            f"the run's files can't be unpacked ({error}); look into its place with keep=True"
        ) from error
    for name in sorted(folder.read_private(_SENT) or (), reverse=True):
        if name not in names and os.path.lexists(workspace / name):
            _archive.remove(workspace / name)
