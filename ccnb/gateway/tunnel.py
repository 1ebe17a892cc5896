"""A tunnel: bytes passed on between two streams, in both directions, until both have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK = 64 * 1024
IDLE_S = 900.0
"""Seconds of silence after which a tunnel is closed."""
HALF_CLOSED_S = 60.0
"""The same once one side has said all it had."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Tunnel:
    """Two directions, and one silence for both. A chunk each is all that is held, so memory stays flat."""

    def __init__(
        self,
        client: Streams,
        upstream: Streams,
        *,
        idle_s: float = IDLE_S,
        half_closed_s: float = HALF_CLOSED_S,
    ) -> None:
        self.bytes_up = 0
        self.bytes_down = 0
        self._client = client
        self._upstream = upstream
        self._is_whole = False
        """Whether both directions have come to their own end."""
        self._silence_s = idle_s
        self._half_closed_s = half_closed_s

    async def run(self, early: bytes = b"") -> None:
        """Pass bytes on until the end, beginning with what the client has sent already."""
        self._upstream[1].write(early)
        self.bytes_up += len(early)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._silence_s) as silence:
                await self._both(silence)

    def close(self) -> None:
        """Close both sides; at once where one of them is gone."""
        for _, writer in (self._client, self._upstream):
            if self._is_whole:
                writer.close()
            else:
                writer.transport.abort()

    async def _both(self, silence: asyncio.Timeout) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(silence))
                group.create_task(self._down(silence))
            self._is_whole = True
        except* OSError:
            pass  # One side is gone, and that is the end for the other.

    async def _up(self, silence: asyncio.Timeout) -> None:
        async for size in self._pass_on(self._client[0], self._upstream[1], silence):
            self.bytes_up += size

    async def _down(self, silence: asyncio.Timeout) -> None:
        async for size in self._pass_on(self._upstream[0], self._client[1], silence):
            self.bytes_down += size

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: asyncio.Timeout
    ) -> AsyncIterator[int]:
        """Pass one direction on, its end too; yield the size of each piece."""
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
            yield len(chunk)
            self._heard(silence)
        writer.write_eof()
        self._silence_s = self._half_closed_s
        self._heard(silence)

    def _heard(self, silence: asyncio.Timeout) -> None:
        # What comes in the moment of the end changes nothing any more.
        if not silence.expired():
            silence.reschedule(asyncio.get_running_loop().time() + self._silence_s)
