"""The scripted model: a server in the API's place that all contestants ask, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

COMMANDS = ("echo one >one.txt; cat one.txt", "wc -c one.txt; ls")
"""What the agent is told to do, and what a peer without an agent does."""
SCRIPT = f"""
- say: I make a file.
  tools: [Bash: {{command: "{COMMANDS[0]}", description: make a file}}]
- say: I look at it.
  tools: [Bash: {{command: "{COMMANDS[1]}", description: look at it}}]
- It is there.
"""
PROMPT = "Make a file and look at it."
KEY = "sk-ant-api03-of-nobody"


@contextmanager
def serving(host: str) -> Iterator[str]:
    """Serve at a free port of an address of this machine; give the URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(host, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise TimeoutError("the scripted model did not start within a minute")
        yield f"http://{host}:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(host: str, told: Connection) -> None:
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    from ccnb.gateway.script import parse_script
    from ccnb.gateway.sources import Call, ScriptSource

    # It decides by the conversation alone, so all runs share it.
    source = ScriptSource(parse_script(SCRIPT, "peers.yaml"), "peers", ".")

    async def answer(request: Request) -> Response:
        reply = await source.answer(Call(await request.json(), target=request.url.path))
        return StreamingResponse(reply.body, reply.status, reply.headers)

    paths = ("/v1/messages", "/v1/messages/count_tokens")
    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in paths])
    listening = socket.create_server((host, 0))
    told.send(listening.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off")).run(sockets=[listening])
