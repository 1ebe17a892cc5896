"""A server in the API's place whose every chunk says when it was sent. The clock is the machine's own."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_BIG_PIECE = b"data: " + b"x" * 65_528 + b"\n\n"


@contextmanager
def serving() -> Iterator[tuple[int, Connection]]:
    """Serve in a process of its own; give its port, and a pipe that tells when a caller has gone away."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.terminate()
        process.join()


def body(chunks: int, pause_s: float, pieces: int = 0) -> bytes:
    """Return a request of an agent's usual size that asks for so many chunks, or for big pieces."""
    asked = {"chunks": chunks, "pause_s": pause_s, "pieces": pieces}
    talk = [{"role": "user", "content": "word " * 10_000}]
    return json.dumps({"model": "bench", "stream": True, "messages": talk, "metadata": asked}).encode()


def _serve(told: Connection) -> None:
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await _answer_one(reader, writer):
                    pass
            except ConnectionError:
                told.send(time.monotonic())
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def _answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return False
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
    )
    asked = json.loads(await reader.readexactly(length))["metadata"]
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(asked["chunks"]):
        if number:
            await asyncio.sleep(asked["pause_s"])
        if reader.at_eof() or writer.is_closing():
            raise ConnectionError
        _write(writer, f'event: ping\ndata: {{"type":"ping","t":{time.monotonic():.6f}}}\n\n'.encode())
    for _ in range(asked["pieces"]):
        _write(writer, _BIG_PIECE)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _write(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
