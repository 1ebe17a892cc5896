"""Follow the files of a place that nothing but short commands reaches: one command for all who read."""

from __future__ import annotations

import asyncio
import base64
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ccnb.errors import OutOfReachError
from ccnb.mode import _files
from ccnb.mode._machine import Run, as_user, script
from ccnb.store import RunFolder

_WATCHED_S = 1.1
"""Between two looks while somebody watches; the platform allows one a second."""
_UNWATCHED_S = 15.0
_AWAY_S = 3.0
_SLICE_S = 0.25


@dataclass
class _Reader:
    name: str
    offset: int
    chunk: bytes = b""
    fresh: bool = False
    """Whether a look has ended since its last one was taken."""


class Tail:
    """Looks at the files of one place for all who read them, in one command each time."""

    def __init__(self, run: Run, uid: int, folder: RunFolder) -> None:
        self._run, self._uid, self._folder = run, uid, folder
        self._readers: list[_Reader] = []
        self._looking = asyncio.Lock()
        self._next_at = 0.0
        self._hurried = False

    def hurry(self) -> None:
        """Look at once: something was asked for."""
        self._hurried = True

    async def follow(self, name: str, offset: int) -> AsyncIterator[bytes]:
        """Yield a file's bytes from an offset on; an empty chunk for each look that found nothing new."""
        reader = _Reader(name, offset)
        self._readers.append(reader)
        # What tells of the end is looked at first: what is read after it is then complete.
        self._readers.sort(key=lambda r: r.name != "steps")
        try:
            while True:
                await self._look_for(reader)
                reader.fresh = False
                chunk, reader.chunk = reader.chunk, b""
                for start in range(0, len(chunk), _files.CHUNK):
                    yield chunk[start : start + _files.CHUNK]
                    await asyncio.sleep(0)
                if not chunk:
                    yield b""
        finally:
            self._readers.remove(reader)

    async def _look_for(self, reader: _Reader) -> None:
        """Look until a look has succeeded: an empty chunk must not say more than it knows."""
        async with self._looking:
            while not reader.fresh:
                await self._pause()
                await self._look()

    async def _look(self) -> None:
        waiting = [reader for reader in self._readers if not reader.chunk]
        words = [word for reader in waiting for word in (reader.name, str(reader.offset))]
        begun = time.monotonic()
        try:
            said = await self._run(as_user(self._uid, script("look.sh", *words)), "")
            chunks = _contents(said, len(waiting))
        except OutOfReachError:
            # The place goes on without us.
            self._next_at = time.monotonic() + _AWAY_S
            return
        for reader, chunk in zip(waiting, chunks, strict=True):
            reader.chunk = chunk
            reader.offset += len(chunk)
        for reader in self._readers:
            reader.fresh = True
        # Where something came more may follow, and the end is soon.
        self._next_at = begun if any(chunks) else begun + _WATCHED_S

    async def _pause(self) -> None:
        """Wait until the next look is due, which is sooner while somebody watches."""
        while (now := time.monotonic()) < self._due_at() and not self._hurried:  # noqa: ASYNC110 - see below
            # Whether somebody watches is a file's age: there is nothing to be woken by.
            await asyncio.sleep(min(_SLICE_S, self._due_at() - now))
        self._hurried = False

    def _due_at(self) -> float:
        return self._next_at if self._folder.is_watched else self._next_at + _UNWATCHED_S - _WATCHED_S


def _contents(said: str, count: int) -> list[bytes]:
    """Return what look.sh gives for some files; nothing of any from a place that has ended."""
    lines = said.splitlines() or ["0 -"] * count
    if len(lines) != count:
        raise OutOfReachError("the answer is not whole; look again")
    return [_content(line) for line in lines]


def _content(line: str) -> bytes:
    """Return what a line of look.sh holds.

    Raises
    ------
    OutOfReachError
        It came damaged.
    """
    length, _, content = line.partition(" ")
    if length == "0":
        return b""
    try:
        # Bounded: what the agent has a hand in could grow without end. The checksum comes after the content.
        unpacking = zlib.decompressobj(wbits=31)
        found = unpacking.decompress(base64.b64decode(content), int(length))
        rest = unpacking.decompress(unpacking.unconsumed_tail, 1)
    except (ValueError, zlib.error):
        raise OutOfReachError("the answer came damaged; look again") from None
    if rest or not unpacking.eof or len(found) != int(length):
        raise OutOfReachError("the answer is not whole; look again")
    return found
