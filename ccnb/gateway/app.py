"""The gateway's web face: the part of the Messages API that an agent calls.

Nothing here keeps what matters: a run is known by its registration file alone, so a gateway that was
started again serves on. Bodies, headers and keys are never logged.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ccnb.errors import CcnbError
from ccnb.gateway import messages, registration
from ccnb.gateway.messages import rough_tokens
from ccnb.gateway.registration import Registration
from ccnb.gateway.sources import (
    Facts,
    Source,
    StreamCutError,
    conversation_text,
    error_reply,
    new_request_id,
    open_source,
)

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of a request that are read at most."""

log = logging.getLogger("ccnb.gateway")


def create_app(home: Path) -> Starlette:
    """Return the app that serves the runs registered in a store."""
    runs = Runs(home)

    async def create_message(request: Request) -> Response:
        run = runs.caller(request)
        return Exchange(run, await _read_body(request))

    async def count_tokens(request: Request) -> Response:
        runs.caller(request)
        return JSONResponse({"input_tokens": rough_tokens(conversation_text(await _read_body(request)))})

    routes = [
        Route("/v1/messages", create_message, methods=["POST"]),
        Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
        Route("/api/hello", _hello),
        Route("/health", _health),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


@dataclass(frozen=True)
class Run:
    """A registered run whose source is open."""

    registration: Registration
    source: Source
    folder: Path
    stamp: tuple[int, int]
    """Which writing of the registration this came from."""


class Runs:
    """Finds the run that a call belongs to, by the key it carries."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._open: dict[str, Run] = {}

    def caller(self, request: Request) -> Run:
        """Return the caller's run.

        Raises
        ------
        HTTPException
            401 for an unknown, expired or wrong key; 500 when the run's source can't be read.
        """
        key = request.headers.get("x-api-key") or _bearer(request.headers.get("authorization", ""))
        run_id = registration.run_of(key)
        run = self._find(run_id) if run_id else None
        known = run.registration.key if run else "-"
        if not hmac.compare_digest(key.encode(), known.encode()) or not run or not run.registration.is_live:
            raise HTTPException(401, "invalid x-api-key")
        return run

    def _find(self, run_id: str) -> Run | None:
        path = self._home / "runs" / run_id / registration.FILE
        try:
            status = path.stat()
        except OSError:
            self._open.pop(run_id, None)
            return None
        stamp = (status.st_mtime_ns, status.st_ino)
        run = self._open.get(run_id)
        if run is None or run.stamp != stamp:
            run = _open_run(path, stamp)
            self._open = {id_: one for id_, one in self._open.items() if one.registration.is_live}
            if run is not None:
                self._open[run_id] = run
        return run


def _open_run(path: Path, stamp: tuple[int, int]) -> Run | None:
    known = registration.read_file(path)
    if known is None:
        return None
    try:
        source = open_source(known.api, known.run_id, known.workspace)
    except CcnbError as error:
        raise HTTPException(500, f"the gateway can't answer: {error}") from None
    return Run(known, source, path.parent, stamp)


class Exchange(Response):
    """One call: asks the source, passes its bytes on, and writes the call's line."""

    def __init__(self, run: Run, body: Mapping[str, Any]) -> None:
        super().__init__()
        self._run = run
        self._body = body
        self._at = datetime.now(UTC)
        self._began = time.monotonic()
        self._first_byte_s: float | None = None
        self._status = 0
        self._facts = Facts()
        self._written = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
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
            pass
        except Exception as error:  # noqa: BLE001 - one call's failure must not end the gateway
            # The type alone: a message could hold what was said.
            log.error("run %s: a call failed: %s", self._run.registration.run_id, type(error).__name__)
            if self._first_byte_s is None:
                await _send_whole(send, 500, "the gateway failed; see gateway.log")

    async def _pass_on(self, send: Send) -> None:
        reply = await self._run.source.answer(self._body)
        self._status, self._facts = reply.status, reply.facts
        streams = reply.headers["content-type"].startswith("text/event-stream")
        async for chunk in reply.body:
            if self._first_byte_s is None:
                self._first_byte_s = time.monotonic() - self._began
                length = {} if streams else {"content-length": str(len(chunk))}
                await send(_start(reply.status, {**reply.headers, **length}))
            if not streams or b"event: message_stop" in chunk:
                # Before the last bytes: who has seen the answer's end finds its line.
                self._write_line("complete")
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._write_line("complete")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _write_line(self, end: str) -> None:
        if self._written:
            return
        self._written = True
        line = {
            "at": self._at.isoformat(),
            "model": self._body.get("model"),
            "status": self._status or None,
            "stream": self._body.get("stream") is True,
            "first_byte_s": _rounded(self._first_byte_s),
            "duration_s": _rounded(time.monotonic() - self._began),
            "input_tokens": self._facts.input_tokens,
            "output_tokens": self._facts.output_tokens,
            "turn": self._facts.turn,
            "end": end,
        }
        try:
            _append(self._run.folder / "calls.jsonl", json.dumps(line) + "\n")
        except OSError as error:
            log.error("run %s: a call's line is lost: %s", self._run.registration.run_id, error.strerror)


async def _read_body(request: Request) -> dict[str, Any]:
    whole = bytearray()
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > LARGEST_BODY:
            raise HTTPException(413, f"the request is larger than {LARGEST_BODY} bytes")
    try:
        body = json.loads(bytes(whole))
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise HTTPException(400, "model: field required")
    if not isinstance(body.get("messages"), list):
        raise HTTPException(400, "messages: field required")
    return body


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refused(_request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    request_id = new_request_id()
    content = messages.error_body(status, detail, request_id)
    return Response(content, status, messages.error_headers(request_id))


async def _hello(_request: Request) -> Response:
    return JSONResponse({"message": "hello"})


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _send_whole(send: Send, status: int, text: str) -> None:
    reply = error_reply(status, text)
    await send(_start(status, reply.headers))
    async for chunk in reply.body:
        await send({"type": "http.response.body", "body": chunk, "more_body": False})


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _append(path: Path, line: str) -> None:
    # One write of one line to a file opened for appending: two gateways' lines never mix.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
