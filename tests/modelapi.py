"""A loopback server in the API's place: it takes one credential and answers from a script."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ccnb.gateway.script import parse_script
from ccnb.gateway.sources import Call, ScriptSource, StreamCutError, error_reply

API_KEY = "sk-ant-api03-the-real-key-which-no-place-must-ever-see-0123456789"
OAUTH_TOKEN = "sk-ant-oat01-the-real-token-which-no-place-must-ever-see-0123456789"  # noqa: S105 - of nobody
TALK = "- I have nothing to do.\n"
DO_IT = """
- say: I make a file.
  tools: [Bash: {command: "echo one >$CWD/one.txt; cat $CWD/one.txt", description: make a file}]
- say: Now another one.
  tools: [Write: {file_path: $CWD/two.txt, content: "two\\n"}]
- Both are there.
"""
"""A task of two tools and three calls."""


@dataclass
class Asked:
    """One request as it arrived."""

    target: str
    headers: dict[str, str]
    raw: bytes
    left: bool = False
    """Whether the caller went away before it had the whole answer."""

    @property
    def body(self) -> dict[str, Any]:
        """The request itself."""
        return json.loads(self.raw)


@dataclass
class ModelApi:
    """The server, in a thread. `with ModelApi(script) as api: ... api.url, api.asked`."""

    script: str = TALK
    credential: str = API_KEY
    workspace: str = "/workspace"
    zipped: bool = False
    """Whether answers are encoded, though nobody asked for it."""
    headers: dict[str, str] = field(default_factory=dict)
    """More headers of each answer."""
    special: Callable[[Asked], Response | None] = lambda asked: None
    """May answer instead of the script."""
    certificate: Path | None = None
    """A certificate and its key, for TLS."""
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._source = ScriptSource(parse_script(self.script, "api.yaml"), "api", self.workspace)
        app = Starlette(
            routes=[
                Route("/v1/messages", self._answer, methods=["POST"]),
                Route("/prefix/v1/messages", self._answer, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._answer, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(
            app,
            "127.0.0.1",
            0,
            log_level="critical",
            lifespan="off",
            http="h11",
            ssl_certfile=self.certificate,
            ssl_keyfile=self.certificate,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked = Asked(target, dict(request.headers), raw)
        self.asked.append(asked)
        if (special := self.special(asked)) is not None:
            return special
        call = Call(asked.body, target=request.url.path)
        reply = await self._source.answer(call)
        if self.credential not in (
            asked.headers.get("x-api-key"),
            asked.headers.get("authorization", "").removeprefix("Bearer "),
        ):
            reply = error_reply(401, "invalid x-api-key")

        async def chunks():
            try:
                async for chunk in reply.body:
                    yield chunk
            except StreamCutError:
                raise asyncio.CancelledError from None
            except (asyncio.CancelledError, GeneratorExit):
                asked.left = True
                raise

        headers = {**reply.headers, **self.headers}
        if self.zipped:
            whole = gzip.compress(b"".join([chunk async for chunk in chunks()]))
            return Response(whole, reply.status, {**headers, "content-encoding": "gzip"})
        return StreamingResponse(chunks(), reply.status, headers)
