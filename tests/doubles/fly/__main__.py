"""`python -m tests.doubles.fly --port N`: serve until a signal comes; print the base URL when ready."""

from __future__ import annotations

import argparse
import asyncio
import json

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.doubles.fly.app import make_app
from tests.doubles.fly.cloud import Cloud
from tests.doubles.fly.gate import Gate, Settings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.doubles.fly", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--settings", type=json.loads, default={}, help="fields of gate.Settings, as JSON")
    return parser.parse_args()


class Server(uvicorn.Server):
    """Says where it is as soon as it listens."""

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)


def protocol(gate: Gate) -> type[H11Protocol]:
    """Return a protocol whose connections the gate can cut."""

    class Cuttable(H11Protocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            gate.connections[self.client] = transport

        def connection_lost(self, exc):
            gate.connections.pop(self.client, None)
            super().connection_lost(exc)

    return Cuttable


async def main() -> None:
    given = arguments()
    cloud = Cloud()
    gate = Gate(Settings(**given.settings), cloud)
    gate.app = make_app(cloud, gate)
    config = uvicorn.Config(
        gate,
        port=given.port,
        http=protocol(gate),
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    await cloud.open()
    try:
        await Server(config).serve()
    finally:
        await cloud.close()


asyncio.run(main())
