"""One call of the agent: its answer passed on byte for byte, and its line in the run's `calls.jsonl`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ccnb.events import Usage
from ccnb.gateway.budget import Budget
from ccnb.gateway.meter import Meter
from ccnb.gateway.prices import cost_usd
from ccnb.gateway.registration import CALLS_FILE, append_line
from ccnb.gateway.sources import Call, Reply, Source, StreamCutError, error_reply

_SHORT = 1 << 16
"""Bytes of an answer that is no stream up to which it is passed on as one piece."""

log = logging.getLogger("ccnb.gateway")


class Exchange(Response):
    """Asks the source, passes its bytes on, and writes the call's line."""

    def __init__(self, run_id: str, folder: Path, source: Source, call: Call, budget: Budget) -> None:
        super().__init__()
        self._run_id = run_id
        self._folder = folder
        self._source = source
        self._call = call
        self._budget = budget
        self._at = datetime.now(UTC)
        self._began = time.monotonic()
        self._first_byte_s: float | None = None
        self._reply: Reply | None = None
        self._meter = Meter(streams=False)
        self._written = not call.is_message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Answer, unless the caller goes away first."""
        work = asyncio.ensure_future(self._answer(send))
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = not work.done()
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
            self._write_line("left" if left else "cut")

    async def _answer(self, send: Send) -> None:
        try:
            await self._pass_on(send)
        except StreamCutError:
            if self._first_byte_s is None:
                await _send_whole(send, error_reply(502, "the API broke off before its first byte"))
        except Exception as error:  # noqa: BLE001 - one call's failure must not end the gateway
            # The type alone: a message could hold what was said.
            log.error("run %s: a call failed: %s", self._run_id, type(error).__name__)
            if self._first_byte_s is None:
                await _send_whole(send, error_reply(500, "the gateway failed; see gateway.log"))

    async def _pass_on(self, send: Send) -> None:
        reply = self._reply = await self._ask()
        streams = reply.headers.get("content-type", "").startswith("text/event-stream")
        self._meter = meter = Meter(streams=streams)
        chunks = reply.body if streams else _whole_if_short(reply.body)
        # Closed at once when the caller goes away: that ends the question to the API too.
        async with aclosing(reply.body), aclosing(chunks):
            async for chunk in chunks:
                if self._first_byte_s is None:
                    await self._begin(send, reply, chunk, streams=streams)
                meter.feed(chunk)
                if meter.ended or (not streams and len(chunk) < _SHORT):
                    # Before the last bytes: who has seen the answer's end finds its line.
                    self._write_line("complete")
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self._first_byte_s is None:
            await self._begin(send, reply, b"", streams=streams)
        self._write_line("complete")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ask(self) -> Reply:
        refusal = self._budget.refusal() if self._call.is_message else None
        if refusal is not None:
            # The agent ends at this status; after others it would ask again.
            return error_reply(402, refusal.message, refused=refusal.kind)
        return await self._source.answer(self._call)

    async def _begin(self, send: Send, reply: Reply, chunk: bytes, *, streams: bool) -> None:
        self._first_byte_s = time.monotonic() - self._began
        headers = dict(reply.headers)
        if not streams and len(chunk) < _SHORT:
            headers["content-length"] = str(len(chunk))
        await send(_start(reply.status, headers))

    def _write_line(self, end: str) -> None:
        if self._written:
            return
        self._written = True
        self._meter.finish()
        line = self._line(end)
        self._budget.spend(self._run_id, line)
        try:
            append_line(self._folder / CALLS_FILE, line)
        except OSError as error:
            log.error("run %s: a call's line is lost: %s", self._run_id, error.strerror)

    def _line(self, end: str) -> dict[str, Any]:
        reply, body = self._reply, self._call.body
        usage = self._meter.usage
        tokens: dict[str, int | None] = asdict(usage) if usage else dict.fromkeys(Usage.__slots__)
        return {
            "at": self._at.isoformat(),
            "model": body.get("model"),
            "request": _digest(body),
            "status": reply.status if reply else None,
            "stream": body.get("stream") is True,
            "first_byte_s": _rounded(self._first_byte_s),
            "duration_s": _rounded(time.monotonic() - self._began),
            **tokens,
            "cost_usd": cost_usd(body.get("model"), self._meter.counts) if usage else None,
            "turn": reply.turn if reply else None,
            "end": end,
            "refused": reply.refused if reply else None,
        }


async def _whole_if_short(body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield a short body as one piece, so that its length and its usage are known with its last byte."""
    head = bytearray()
    async for chunk in body:
        if len(head) >= _SHORT:
            yield chunk
            continue
        head += chunk
        if len(head) >= _SHORT:
            yield bytes(head)
    if len(head) < _SHORT:
        yield bytes(head)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, reply: Reply) -> None:
    await send(_start(reply.status, reply.headers))
    async for chunk in reply.body:
        await send({"type": "http.response.body", "body": chunk, "more_body": False})


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _digest(body: Mapping[str, Any]) -> str:
    """Return what tells the same request from another: a repeat may ask for no stream this time."""
    asked = [body.get("model"), body.get("messages"), bool(body.get("tools"))]
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).hexdigest()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
