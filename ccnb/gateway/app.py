"""The gateway's web face: the part of the Messages API that an agent calls.

Nothing here keeps what matters: a run is known by its registration file alone, so a gateway that was
started again serves on. Bodies, headers and keys are never logged.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ccnb.errors import CcnbError
from ccnb.gateway import messages, registration
from ccnb.gateway.budget import Budget, Budgets
from ccnb.gateway.exchange import Exchange
from ccnb.gateway.forward import Vault
from ccnb.gateway.opening import open_source
from ccnb.gateway.registration import Registration
from ccnb.gateway.sources import Call, Source, new_request_id

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of a request that are read at most."""


def create_app(home: Path, vault: Vault) -> Starlette:
    """Return the app that serves the runs registered in a store."""
    runs = Runs(home, vault)

    async def answer(request: Request) -> Response:
        run = runs.caller(request)
        call = await _read(request)
        return Exchange(run.registration.run_id, run.folder, run.source, call, run.budget)

    routes = [
        Route("/v1/messages", answer, methods=["POST"]),
        Route("/v1/messages/count_tokens", answer, methods=["POST"]),
        Route("/api/hello", _hello),
        Route("/health", _health),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


@dataclass(frozen=True)
class Run:
    """A registered run whose source is open."""

    registration: Registration
    source: Source
    budget: Budget
    folder: Path
    stamp: tuple[int, int]
    """Which writing of the registration this came from."""


class Runs:
    """Finds the run that a call belongs to, by the key it carries."""

    def __init__(self, home: Path, vault: Vault) -> None:
        self._home = home
        self._vault = vault
        self._budgets = Budgets(home)
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
            run = self._open_run(path, stamp)
            self._open = {id_: one for id_, one in self._open.items() if one.registration.is_live}
            if run is not None:
                self._open[run_id] = run
        return run

    def _open_run(self, path: Path, stamp: tuple[int, int]) -> Run | None:
        known = registration.read_file(path)
        if known is None:
            return None
        try:
            source = open_source(known, path.parent, self._vault)
        except CcnbError as error:
            raise HTTPException(500, f"the gateway can't answer: {error}") from None
        return Run(known, source, self._budgets.of(known), path.parent, stamp)


async def _read(request: Request) -> Call:
    whole = bytearray()
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > LARGEST_BODY:
            raise HTTPException(413, f"the request is larger than {LARGEST_BODY} bytes")
    raw = bytes(whole)
    try:
        body = json.loads(raw)
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise HTTPException(400, "model: field required")
    if not isinstance(body.get("messages"), list):
        raise HTTPException(400, "messages: field required")
    target = f"{request.url.path}?{request.url.query}".rstrip("?")
    return Call(body, raw, target, dict(request.headers))


async def _refused(_request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    request_id = new_request_id()
    content = messages.error_body(status, detail, request_id)
    return Response(content, status, messages.error_headers(request_id))


async def _hello(_request: Request) -> Response:
    return JSONResponse({"message": "hello"})


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
