"""A line between a client and a server on this machine, which can be cut: a small TCP relay in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Self

_PIECE = 65_536


class Line:
    """Leads from a port of its own to another, until it is cut. `with Line(port) as line: line.port`."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self._left: int | None = None
        """Bytes of answers that still come through before the line breaks by itself."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        threading.Thread(target=self._loop.run_forever, name="line", daemon=True).start()
        self._server = self._do(asyncio.start_server(self._lead, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.break_off()
        self._call(self._server.close)

    def hold_up(self) -> None:
        """Let nothing through any more, as a pulled cable does: what was sent arrives when it is mended."""
        self._call(self._open.clear)

    def break_off(self, after: int = 0) -> None:
        """Reset all connections, and new ones, once so many more bytes have come from the other end."""
        self._call(lambda: self._break_after(after))

    def mend(self) -> None:
        """Let everything through again."""
        self._call(self._mend)

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function in the line's own thread, where calls come in their order."""
        self._loop.call_soon_threadsafe(function)

    def _break_after(self, count: int) -> None:
        self._left = count
        if not count:
            self._break()

    def _break(self) -> None:
        self._refuses, self._left = True, None
        for writer in self._writers:
            writer.transport.abort()

    def _mend(self) -> None:
        self._refuses, self._left = False, None
        self._open.set()

    async def _lead(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self._refuses:
            back.transport.abort()
            return
        with contextlib.suppress(OSError):
            there, forth = await asyncio.open_connection("127.0.0.1", self._there)
            ends = {back, forth}
            self._writers |= ends
            try:
                await asyncio.gather(self._pass(here, forth), self._pass(there, back, counts=True))
            finally:
                self._writers -= ends
                for writer in ends:
                    writer.close()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(_PIECE):
                await self._open.wait()
                if target.is_closing():
                    return
                if counts and self._left is not None:
                    piece, self._left = piece[: self._left], self._left - len(piece)
                target.write(piece)
                await target.drain()
                if counts and self._left is not None and self._left <= 0:
                    self._break()
            target.write_eof()
