"""What the gateway adds between the agent and the API, measured against the same server asked directly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from bench import modelserver
from bench.report import Figure
from ccnb.gateway import process
from ccnb.gateway.registration import register
from ccnb.gateway.upstream import Pass, Upstream
from ccnb.redact import Secret

FIRST_BYTE_MS, CHUNK_MS, MEMORY_MB = 5, 1, 16
RUNS = 50
PIECES = 800
_SENT = re.compile(rb'"t":([\d.]+)')
_ASKED = 200


@dataclass
class Taken:
    """What was measured of some answers, in milliseconds."""

    first_byte_ms: list[float] = field(default_factory=list)
    chunk_ms: list[float] = field(default_factory=list)
    """From the server's write to our read."""


@dataclass(frozen=True)
class Way:
    """How a server is reached, and with what key."""

    port: int = 0
    socket: str = ""
    key: str = "direct"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.socket:
            return await asyncio.open_unix_connection(self.socket)
        return await asyncio.open_connection("127.0.0.1", self.port)

    def request(self, body: bytes) -> bytes:
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {self.key}\r\ncontent-length: {len(body)}"
        )
        return f"{head}\r\n\r\n".encode() + body


def figures() -> Iterator[Figure]:
    """Yield what is added to the first byte and to a chunk, runs at once, memory, and the end of a call."""
    home = Path(os.environ["CCNB_HOME"])
    with modelserver.serving() as (port, told):
        direct = Way(port)
        through = [_enter(home, f"bench-{number}", port) for number in range(RUNS)]
        yield from _added(direct, through[0])
        yield from _at_once(direct, through)
        yield _memory(home, through[0])
        yield _gone(through[0], told)


def _enter(home: Path, run_id: str, port: int) -> Way:
    run = register(home, run_id, api="live", workspace="/w", until=time.time() + 600)
    address = process.ensure(home)
    upstream = Upstream(f"http://127.0.0.1:{port}")
    process.give(home, run_id, Pass(run.variable, Secret("sk-ant-api03-of-nobody"), upstream))
    return Way(socket=str(address.socket), key=run.key)


def _added(direct: Way, through: Way) -> Iterator[Figure]:
    # In turns, so that what else the machine does falls on both.
    plain, ours = Taken(), Taken()
    body = modelserver.body(10, 0.005)
    for number in range(_ASKED):
        for way, taken in ((direct, plain), (through, ours)):
            asyncio.run(_ask(way, body, taken if number >= 10 else Taken()))
    for name, limit, mine, theirs in (
        ("first byte", FIRST_BYTE_MS, ours.first_byte_ms, plain.first_byte_ms),
        ("a chunk", CHUNK_MS, ours.chunk_ms, plain.chunk_ms),
    ):
        added = _p95(mine) - _p95(theirs)
        detail = (
            f"{len(mine)}; p95 {_p95(mine):.2f} ms, directly {_p95(theirs):.2f} ms; median {_median(mine)}"
        )
        yield Figure.below(f"gateway adds to {name}, p95", added, "ms", limit, detail)


def _at_once(direct: Way, through: list[Way]) -> Iterator[Figure]:
    chunks = 100
    body = modelserver.body(chunks, 0.03)

    async def all_of(ways: list[Way]) -> Taken:
        taken = Taken()
        await asyncio.gather(*(_ask(way, body, taken) for way in ways))
        return taken

    plain = asyncio.run(all_of([direct] * RUNS))
    ours = asyncio.run(all_of(through))
    lost = RUNS * chunks - len(ours.chunk_ms)
    yield Figure.below(
        f"gateway, {RUNS} runs at once: lost", lost, "chunks", 0, f"{chunks} each, 33 a second"
    )
    detail = f"directly {_p95(plain.chunk_ms):.2f} ms; first byte {_p95(ours.first_byte_ms):.1f} ms"
    yield Figure(f"gateway, {RUNS} runs at once: a chunk, p95", _p95(ours.chunk_ms), "ms", detail=detail)


def _memory(home: Path, way: Way) -> Figure:
    pid = json.loads((home / "gateway.state").read_text())["pid"]
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _peak_mb(pid)
    begun = time.perf_counter()
    asyncio.run(_ask(way, modelserver.body(0, 0, PIECES), Taken()))
    took_s = time.perf_counter() - begun
    detail = f"{PIECES * 65_536 / 1e6:.0f} MB in {took_s:.2f} s; {before:.0f} MB before"
    return Figure.below("gateway grows by a 50 MB answer", _peak_mb(pid) - before, "MB", MEMORY_MB, detail)


def _gone(way: Way, told: Connection) -> Figure:
    async def leave() -> float:
        reader, writer = await way.connect()
        writer.write(way.request(modelserver.body(1000, 0.01)))
        await reader.readuntil(b'"t"')
        writer.close()
        return time.monotonic()

    left = asyncio.run(leave())
    took_ms = (told.recv() - left) * 1000 if told.poll(10) else float("inf")
    return Figure.below("a caller gone: the API's answer ended", took_ms, "ms", 1000, "looked at each 10 ms")


async def _ask(way: Way, body: bytes, taken: Taken) -> None:
    reader, writer = await way.connect()
    request, rest, seen = way.request(body), b"", False
    begun = time.monotonic()
    writer.write(request)
    while not rest.endswith(b"0\r\n\r\n"):
        piece = await reader.read(1 << 18)
        now = time.monotonic()
        assert piece, rest[-200:]
        rest += piece
        sent = _SENT.findall(rest)
        taken.chunk_ms += [(now - float(at)) * 1000 for at in sent]
        if sent and not seen:
            seen = True
            taken.first_byte_ms.append((now - begun) * 1000)
        # What was read is let go, but for what may be half of a chunk.
        rest = rest[rest.rfind(b"\n\n") + 2 :][-(1 << 17) :] if sent else rest[-(1 << 17) :]
    writer.close()


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ms"


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)
