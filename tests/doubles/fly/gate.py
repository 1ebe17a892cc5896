"""What stands before the API: the token, the limits, latency, faults on demand, the specification."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import uuid4

from tests.doubles.fly.swagger import Specification

MACHINE_GET = (5.0, 10)
OTHER = (1.0, 3)
"""Requests a second and burst, per action and machine or app (the platform's documented limits)."""

_PATH = re.compile(
    r"/v1/apps(?:/(?P<app>[^/]+)(?:/(?P<kind>machines|secrets)(?:/(?P<id>[^/]+)(?P<rest>/.*)?)?)?)?"
)


@dataclass
class Settings:
    """What the double does to those who call."""

    token: str = "fm2_double"  # noqa: S105 - known to the double alone
    expired: str = "fm2_expired"
    faults: float = 0.0
    """Share of the calls that end badly: 429, 5xx, a cut connection, a long silence; half of them after
    the work was done."""
    lose: str = ""
    """An action (`POST machines`, say) whose next answer is lost after the work was done; then no more."""
    seed: int = 0
    latency_s: float = 0.0
    hang_s: float = 3.0
    pull_s: float = 0.0
    """How long each machine stays in `created`."""
    boot_s: float = 0.0
    """How long a machine is `started`, and takes commands, before its first process begins."""
    drop: float = 0.0
    repeat: float = 0.0
    split: int = 4096
    delay_s: float = 0.0
    """What happens to log lines."""


@dataclass
class Bucket:
    rate: float
    burst: int
    level: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        now = time.monotonic()
        self.level = max(0.0, self.level - (now - self.at) * self.rate)
        self.at = now
        if self.level + 1 > self.burst:
            return False
        self.level += 1
        return True


class Gate:
    """The ASGI app that is served: it lets through, or doesn't."""

    def __init__(self, settings: Settings, cloud) -> None:
        self.settings = settings
        self.cloud = cloud
        cloud.settings = settings
        self.app = None
        self.connections: dict = {}
        self.random = random.Random(settings.seed)  # noqa: S311 - no secret
        self.specification = Specification.find()
        self.buckets: dict[tuple, Bucket] = {}
        self.counts: Counter = Counter()
        self.limited: list[str] = []
        """Calls beyond the platform's limits."""

    def report(self) -> dict:
        return {
            "violations": self.limited,
            "against_specification": self.specification.faults if self.specification else None,
            "counts": dict(self.counts),
            "created": self.cloud.created,
            "machines": {m.name: m.state for m in self.cloud.all_machines() if m.state != "destroyed"},
            "secrets": {name: sorted(app.secrets) for name, app in self.cloud.apps.items()},
        }

    async def __call__(self, scope, receive, send) -> None:
        # The registry's login has rules of its own.
        if scope["path"] in ("/_double", "/registry/token"):
            await self.app(scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    async def _pass(self, scope, receive, send) -> None:
        body = await _body(receive)
        call = Call(scope, body)
        await asyncio.sleep(self.settings.latency_s)
        fault = self._fault()
        if fault and self.random.random() < 0.5:
            await self._fail(scope, send, fault)
            return
        refusal = self._refusal(call)
        if refusal:
            await _answer(send, *refusal)
            return
        answer = Answer()
        await self.app(scope, call.receive, answer.send)
        self.counts[f"{call.action} {answer.status}"] += 1
        if self.specification and answer.status < 500:
            self.specification.check(call.method, call.path, call.query, body, answer.status, answer.body)
        if self.settings.lose == call.action:
            self.settings.lose, fault = "", "reset"
        if fault:
            await self._fail(scope, send, fault)
            return
        await answer.pass_on(send)

    def _refusal(self, call):
        settings, given = self.settings, call.headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        wanted = "FlyV1" if settings.token.startswith(("fm1r_", "fm1a_", "fm2_")) else "Bearer"
        if token == settings.expired:
            return 401, {"error": "token has expired"}
        if scheme != wanted or token != settings.token:
            return 401, {"error": "unauthorized"}
        if call.action is None:
            return None
        rate, burst = MACHINE_GET if call.action == "GET machine" else OTHER
        bucket = self.buckets.setdefault((call.action, call.subject), Bucket(rate, burst))
        if not bucket.take():
            self.limited.append(f"{call.action} {call.subject}")
            return 429, {"error": "rate limit exceeded"}, [(b"retry-after", b"1")]
        return None

    def _fault(self) -> str | None:
        if self.random.random() >= self.settings.faults:
            return None
        return self.random.choice(["429", "500", "502", "503", "reset", "silence"])

    async def _fail(self, scope, send, fault: str) -> None:
        self.counts[f"fault {fault}"] += 1
        if fault in ("reset", "silence"):
            await asyncio.sleep(self.settings.hang_s if fault == "silence" else 0)
            transport = self.connections.get(tuple(scope["client"]))
            if transport is not None:
                transport.abort()
            return
        headers = [(b"retry-after", b"1")] if fault == "429" else []
        await _answer(send, int(fault), {"error": "asked for by the test"}, headers)


class Call:
    def __init__(self, scope, body: bytes) -> None:
        self.method, self.path = scope["method"], scope["path"]
        self.query = scope["query_string"].decode()
        self.headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        self._body = body
        self.action, self.subject = self._classify()

    def _classify(self):
        match = _PATH.fullmatch(self.path)
        if match is None:
            return None, None
        app, kind, id_, rest = match["app"], match["kind"], match["id"], match["rest"] or ""
        if kind == "machines" and id_:
            first = rest.strip("/").partition("/")[0]
            return f"{self.method} machine{' ' + first if first else ''}", id_
        if kind:
            return f"{self.method} {kind}", app
        return f"{self.method} apps", app or "-"

    async def receive(self):
        return {"type": "http.request", "body": self._body, "more_body": False}


class Answer:
    """Keeps an answer until it is known whether it may go out."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, [], b""

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        else:
            self.body += message.get("body", b"")

    async def pass_on(self, send) -> None:
        headers = [*self.headers, _request_id()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def _answer(send, status: int, value, headers=()) -> None:
    body = json.dumps(value).encode()
    length = (b"content-length", str(len(body)).encode())
    kind = (b"content-type", b"application/json")
    all_headers = [kind, length, _request_id(), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


def _request_id() -> tuple[bytes, bytes]:
    return (b"fly-request-id", uuid4().hex.encode())


async def _body(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
