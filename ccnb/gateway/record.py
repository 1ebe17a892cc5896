"""Source *record*: the API answers, and each exchange is added to a cassette."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from ccnb.gateway.assembly import OddStreamError, assemble, events_of
from ccnb.gateway.cassette import ANSWER_HEADERS, REQUEST_HEADERS, Recorded, Writer
from ccnb.gateway.forward import ForwardSource
from ccnb.gateway.matching import Paths, request_of
from ccnb.gateway.meter import Meter
from ccnb.gateway.sources import Call, Reply

log = logging.getLogger("ccnb.gateway")


class RecordSource:
    """Passes a run's calls on, and writes down what came back whole."""

    def __init__(self, forward: ForwardSource, writer: Writer, paths: Paths) -> None:
        self._forward = forward
        self._writer = writer
        self._paths = paths
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, call: Call) -> Reply:
        """Ask the API; what the gateway itself refuses is not recorded."""
        begun = time.monotonic()
        reply = await self._forward.answer(call)
        if reply.refused or not call.is_message:
            return reply
        return replace(reply, body=self._body(call, reply, begun))

    async def _body(self, call: Call, reply: Reply, begun: float) -> AsyncGenerator[bytes, None]:
        """Yield the answer as it comes; its last bytes when it is written down.

        An answer that breaks off, or has an error in its middle, is asked for again, so only that is kept.
        """
        streams = reply.headers.get("content-type", "").startswith("text/event-stream")
        meter, whole, first_byte_s, kept = Meter(streams=streams), bytearray(), 0.0, False
        async for chunk in reply.body:
            first_byte_s = first_byte_s or time.monotonic() - begun
            whole += chunk
            meter.feed(chunk)
            if meter.ended and not kept:
                kept = True
                await self._keep(call, reply, bytes(whole), first_byte_s, time.monotonic() - begun)
            if streams:
                yield chunk
        if not streams:
            await self._keep(call, reply, bytes(whole), first_byte_s, time.monotonic() - begun)
            yield bytes(whole)

    async def _keep(
        self, call: Call, reply: Reply, whole: bytes, first_byte_s: float, duration_s: float
    ) -> None:
        # In a thread: other runs' answers go on meanwhile.
        async with self._one_at_a_time:
            await asyncio.to_thread(self._write, call, reply, whole, first_byte_s, duration_s)

    def _write(self, call: Call, reply: Reply, whole: bytes, first_byte_s: float, duration_s: float) -> None:
        redactor = self._forward.redactor()
        exchange = Recorded(
            request=request_of(call.body, self._paths, redactor),
            headers=_chosen(call.headers, REQUEST_HEADERS),
            status=reply.status,
            answer_headers=_chosen(reply.headers, ANSWER_HEADERS),
            answer=self._paths.hide(redactor.value(_without_ids(_content(reply, whole)))),
            first_byte_s=round(first_byte_s, 3),
            duration_s=round(duration_s, 3),
        )
        try:
            self._writer.add(exchange)
        except OSError as error:
            log.error("an exchange could not be recorded: %s", error.strerror)


def _content(reply: Reply, whole: bytes) -> Any:
    """Return an answer as JSON: a stream as the message it carries. What is neither stays text."""
    try:
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            return assemble(events_of(whole))
        return json.loads(whole)
    except (OddStreamError, ValueError):
        return whole.decode(errors="replace")


def _without_ids(answer: Any) -> Any:
    """Return an answer without the ids by which the vendor finds an account's requests."""
    if not isinstance(answer, Mapping):
        return answer
    return {name: value for name, value in answer.items() if name not in ("request_id", "organization_id")}


def _chosen(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
