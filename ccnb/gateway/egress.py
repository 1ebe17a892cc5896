"""The egress proxy: the one way out of a place whose network is a list of hosts.

It speaks CONNECT alone, so that TLS stays between the agent and the host. h11 reads the head and asyncio's
streams pass the rest on: proxies on the package index answer all of HTTP, or open TLS, and each of these
would be one more thing to keep shut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h11

from ccnb import network
from ccnb.gateway.network_log import Entry, is_full
from ccnb.gateway.policy import Policy, caller, resolve
from ccnb.gateway.registration import Registration
from ccnb.gateway.tunnel import CHUNK, Streams, Tunnel

LARGEST_HEAD = 16 * 1024
HEAD_S = 10.0
"""Seconds in which a client must have said what it wants."""
CONNECT_S = 15.0
MOST_TUNNELS = 256
"""Of one run at once."""
_BACKLOG = 512
_MOST_WAITING = 256
_MOST_FILES = 8_192
_RESOLVERS = 32

log = logging.getLogger("ccnb.gateway")


class RefusedError(Exception):
    """A request is answered with a status and a sentence that the agent can show."""

    def __init__(self, status: int, text: str, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.reason = reason


@dataclass(frozen=True)
class Client:
    """A connection from a place."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection


class Egress:
    """The proxy of one store: every run by its own policy."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._open: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        # Of its own: names that don't resolve must not hold up the rest of the gateway.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "resolve")

    async def start(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a unix socket."""
        _raise_file_limit()
        return await asyncio.start_unix_server(self._accept, sock=listener, limit=CHUNK, backlog=_BACKLOG)

    async def close(self) -> None:
        """End all tunnels."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer, h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD))
        task = asyncio.ensure_future(self._serve(client))
        self._tasks.add(task)
        self._waiting[task] = None
        # Not by the task itself: one that is cancelled before it has begun does nothing more.
        task.add_done_callback(partial(self._end, client))
        if len(self._waiting) > _MOST_WAITING:
            # Who has said nothing for longest: the sockets of one place must not shut the others out.
            oldest = next(iter(self._waiting))
            self._waiting.pop(oldest)
            oldest.cancel()

    def _end(self, client: Client, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._waiting.pop(task, None)
        client.writer.close()

    async def _serve(self, client: Client) -> None:
        task = asyncio.current_task()
        assert task is not None, "it runs in a task"  # noqa: S101 - for mypy
        try:
            async with asyncio.timeout(HEAD_S):
                request = await _head(client)
            self._waiting.pop(task, None)
            await self._answer(client, request)
        except RefusedError as refused:
            await _refuse(client, refused)
        except (OSError, TimeoutError):
            pass
        except h11.RemoteProtocolError as error:
            text = f"ccnb: this isn't HTTP that the proxy understands ({error})"
            await _refuse(client, RefusedError(error.error_status_hint, text, ""))
        except Exception as error:  # noqa: BLE001 - one connection's failure must not end the gateway
            # The type alone: a message could hold what was said.
            log.error("a connection through the proxy failed: %s", type(error).__name__)

    async def _answer(self, client: Client, request: h11.Request) -> None:
        run = caller(self._home, _header(request, b"proxy-authorization"))
        if run is None:
            text = "ccnb: this proxy needs the secret of the run, which is in the variable HTTPS_PROXY"
            raise RefusedError(407, text, "")
        host, port = _target(request)
        entry = Entry(self._home / "runs" / run.run_id, host, port)
        self._open[run.run_id] += 1
        try:
            await self._tunnel(client, await self._upstream(run, request, host, port), entry)
        except RefusedError as refused:
            # 502 is no refusal of ours: the host is listed, and doesn't answer.
            (entry.failed if refused.status == 502 else entry.refused)(refused.reason)
            raise
        finally:
            self._open[run.run_id] -= 1
            self._open += Counter()  # Drops those at zero.

    async def _upstream(self, run: Registration, request: h11.Request, host: str, port: int) -> Streams:
        """Connect to the host that is asked for, if the run may."""
        name, policy = network.canonical(host), Policy(run.hosts)
        if request.method != b"CONNECT":
            raise _plain(host)
        if name is None or not policy.allows(name, port):
            raise _not_listed(host, port)
        if is_full(self._home / "runs" / run.run_id):
            text = "ccnb: this run has asked for so many connections that their log is full"
            raise RefusedError(403, text, "log full")
        if self._open[run.run_id] > MOST_TUNNELS:
            text = f"ccnb: {MOST_TUNNELS} connections of this run are open; close some"
            raise RefusedError(503, text, "too many at once")
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._connect(policy, name, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise _unreachable(host, port, error) from None

    async def _connect(self, policy: Policy, host: str, port: int) -> Streams:
        """Connect to the first of a host's permitted addresses that answers."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._resolvers, resolve, host, port)
        permitted = policy.permitted(host, port, found)
        if not permitted:
            raise _private(host, port, found)
        failure = OSError("no address")
        for address in permitted:
            try:
                return await asyncio.open_connection(address, port, limit=CHUNK)
            except OSError as error:
                failure = error
        raise failure

    async def _tunnel(self, client: Client, upstream: Streams, entry: Entry) -> None:
        """Write the connection down, tell the client that it is there, and pass on what comes."""
        tunnel = Tunnel((client.reader, client.writer), upstream)
        try:
            entry.opened("open")
            client.writer.write(_established(client.http))
            # Clients may speak before they are answered.
            early, _ = client.http.trailing_data
            await tunnel.run(early)
        finally:
            tunnel.close()
            entry.closed(tunnel.bytes_up, tunnel.bytes_down)


def _raise_file_limit() -> None:
    """Make room for many tunnels, two files each, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def _head(client: Client) -> h11.Request:
    """Read a request's head."""
    while True:
        event = client.http.next_event()
        if isinstance(event, h11.Request):
            client.http.next_event()
            return event
        if event is not h11.NEED_DATA:
            raise ConnectionResetError
        client.http.receive_data(await client.reader.read(CHUNK))


def _target(request: h11.Request) -> tuple[str, int]:
    """Return the host and port that are asked for, as they are spelled; of a plain request, its URL's."""
    authority, default = request.target.decode("ascii"), network.HTTPS_PORT
    if request.method != b"CONNECT":
        authority, default = authority.partition("://")[2].partition("/")[0].rpartition("@")[2], 80
    host, colon, port = authority.rpartition(":")
    if not colon or not re.fullmatch(r"\d{1,5}", port):
        host, port = authority, str(default)
    return host.removeprefix("[").removesuffix("]")[:255], int(port)


def _header(request: h11.Request, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in request.headers if key == name), "")


def _where(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plain(host: str) -> RefusedError:
    text = f"ccnb: plain http is let through to no host, so not to {host} either; use https"
    return RefusedError(403, text, "plain http")


def _not_listed(host: str, port: int) -> RefusedError:
    where = _where(host, port)
    text = f"ccnb: network policy of this run doesn't allow {where}; add it to network=[...]"
    return RefusedError(403, text, "not listed")


def _private(host: str, port: int, found: list[str]) -> RefusedError:
    text = (
        f"ccnb: network policy of this run doesn't allow {_where(host, port)}, which leads to this machine "
        "or a private network; add its address itself to network=[...]"
    )
    return RefusedError(403, text, f"not public: {', '.join(found[:4])}")


def _unreachable(host: str, port: int, error: Exception) -> RefusedError:
    why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    text = f"ccnb: {_where(host, port)} is allowed, but can't be reached: {why}"
    return RefusedError(502, text, f"unreachable: {why}")


def _established(http: h11.Connection) -> bytes:
    return http.send(h11.Response(status_code=200, headers=[], reason=b"Connection established")) or b""


async def _refuse(client: Client, refused: RefusedError) -> None:
    """Answer with the sentence, in the status line too: that is what most programs show."""
    body = f"{refused.text}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    if refused.status == 407:
        headers.append(("Proxy-Authenticate", 'Basic realm="ccnb"'))
    answer = h11.Response(status_code=refused.status, headers=headers, reason=body.strip())
    with contextlib.suppress(OSError, h11.LocalProtocolError, TimeoutError):
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            client.writer.write(client.http.send(event) or b"")
        async with asyncio.timeout(HEAD_S):
            await client.writer.drain()
