"""The gateway's process itself: its sockets, its end, and what clients may ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from ccnb.errors import GatewayError
from ccnb.gateway import registration
from ccnb.gateway.app import create_app
from ccnb.gateway.egress import Egress
from ccnb.gateway.forward import Vault
from ccnb.gateway.meeting import Rendezvous, locked, meeting, try_lock
from ccnb.gateway.process import announced
from ccnb.gateway.registration import read_json, write_private
from ccnb.gateway.upstream import Pass, Upstream
from ccnb.redact import Secret

IDLE_S = 30.0
"""Seconds without any live registration after which the gateway ends itself."""

_BACKLOG = 512
_PORTS = range(20_000, 30_000)
"""Below those that systems give away: from 32,768 on Linux, from 49,152 elsewhere."""
_PORT_TRIES = 100
_TAKE_OVER_S = 10.0
_GRACE_S = 2

log = logging.getLogger("ccnb.gateway")


def serve(home: Path, idle_s: float, ready_fd: int | None) -> None:
    """Serve a store's runs until none is registered any more, or until SIGTERM."""
    files = meeting(home)
    fd = os.open(files.serving, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _take_over(files, fd):
            asyncio.run(Gateway(files, idle_s).run(ready_fd))
            _tidy(files)
        else:
            _tell_ready(ready_fd)
    finally:
        os.close(fd)


def _tidy(files: Rendezvous) -> None:
    """Remove the folder of our sockets if nobody can look for us there any more.

    Either the store is gone, or it needs us no more; after a SIGTERM its runs still have the folder mounted.
    """
    if not files.home.exists():
        shutil.rmtree(files.folder, ignore_errors=True)
        return
    # Who starts the next gateway holds this lock, and needs the folder.
    with contextlib.suppress(GatewayError), locked(files.lock, 0):
        if not files.state.exists():
            shutil.rmtree(files.folder, ignore_errors=True)


def _take_over(files: Rendezvous, fd: int) -> bool:
    """Become the one gateway of the store; False when another one serves.

    A client that dies while it starts a gateway drops its lock, so two can be started after all. The other
    one may be listening already without having written down where it is.
    """
    deadline = time.monotonic() + _TAKE_OVER_S
    while not try_lock(fd):
        if announced(files):
            return False
        if time.monotonic() > deadline:
            raise GatewayError("another gateway of this store neither serves nor ends; end it by hand")
        time.sleep(0.02)
    return True


def _tell_ready(fd: int | None) -> None:
    """Tell the client that started us; when it has died meanwhile, others need us all the same."""
    if fd is None:
        return
    with contextlib.suppress(BrokenPipeError):
        os.write(fd, b"+")
    os.close(fd)


class Gateway:
    """The running server: one app on a unix socket and on as many TCP addresses as were asked for."""

    def __init__(self, files: Rendezvous, idle_s: float) -> None:
        self._files = files
        self._idle_s = idle_s
        self._vault = Vault()
        self._app = create_app(files.home, self._vault)
        self._egress = Egress(files.home)
        self._servers: list[_Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports: dict[str, int] = {}
        self._ending = asyncio.Event()
        self._last_live: str | None = None
        self._inode = 0

    async def run(self, ready_fd: int | None) -> None:
        """Listen, tell that we do, and serve until the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        await self._serve_on(_bind_unix(self._files.socket, self._files.folder, 0o666))
        self._inode = self._files.socket.stat().st_ino
        # Before anybody can have the state written anew: it names the ports.
        await self._reopen_ports()
        egress = await self._egress.start(_bind_unix(self._files.egress, self._files.folder, 0o666))
        control = await asyncio.start_unix_server(
            self._control, sock=_bind_unix(self._files.control, self._files.folder, 0o600)
        )
        self._write_state()
        _tell_ready(ready_fd)
        idle = asyncio.create_task(self._end_when_idle())
        await self._ending.wait()
        idle.cancel()
        await self._shut(control, egress)

    async def _shut(self, *helpers: asyncio.Server) -> None:
        # By name first: from here on a client finds no gateway and starts the next one.
        if self._owns_socket():
            self._files.socket.unlink()
            self._files.egress.unlink(missing_ok=True)
            self._files.control.unlink(missing_ok=True)
        for helper in helpers:
            helper.close()
        for server in self._servers:
            server.should_exit = True
        await self._egress.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve_on(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Server(config)
        self._servers.append(server)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        self._tasks.add(task)
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event for it
            await asyncio.sleep(0)

    async def _end_when_idle(self) -> None:
        pause_s = min(5.0, self._idle_s / 6)
        last_needed = time.monotonic()
        while True:
            await asyncio.sleep(pause_s)
            self._forget_credentials()
            if self._is_needed():
                last_needed = time.monotonic()
            elif not self._files.home.exists():
                # The store was removed under us: no client can find us any more.
                self._ending.set()
                return
            elif time.monotonic() - last_needed >= self._idle_s and self._leave():
                self._ending.set()
                return

    def _is_needed(self) -> bool:
        """Whether a run is registered; the last one seen goes first, as a store can hold thousands."""
        last = self._last_live and registration.read(self._files.home, self._last_live)
        if last and last.is_live:
            return True
        live = registration.live(self._files.home)
        self._last_live = live[0].run_id if live else None
        return bool(live)

    def _owns_socket(self) -> bool:
        """Whether the socket's name is still ours: when /tmp was cleaned, another gateway may have it."""
        try:
            return self._files.socket.stat().st_ino == self._inode
        except OSError:
            return False

    def _leave(self) -> bool:
        """Take our socket away, unless a client has registered a run or starts a gateway just now.

        A client registers before it connects. So one that still reached the socket had registered before the
        socket went, and the look that follows sees it.
        """
        aside = self._files.folder / "leaving.sock"
        try:
            with locked(self._files.lock, 0):
                if not self._owns_socket():
                    return True
                self._files.socket.rename(aside)
                if self._is_needed():
                    aside.rename(self._files.socket)
                    return False
                self._files.egress.unlink(missing_ok=True)
                self._files.control.unlink(missing_ok=True)
                aside.unlink()
                self._files.state.unlink(missing_ok=True)
                return True
        except GatewayError:
            return False

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            reply = await self._obey(await reader.readline())
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            question = json.loads(line)
        except ValueError:
            return {"error": "the question is not JSON"}
        match question:
            case {"do": "announce"}:
                self._write_state()
                return {"pid": os.getpid()}
            case {"do": "listen", "host": str(host)}:
                return await self._listen(host)
            case {"do": "knows", "run_id": str(run_id)}:
                return {"knows": self._vault.get(run_id) is not None}
            case {"do": "credential", "run_id": str(run_id)}:
                return self._take_credential(run_id, question)
        return {"error": "unknown question"}

    def _take_credential(self, run_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        known = registration.read(self._files.home, run_id)
        if known is None or not known.is_live:
            return {"error": f"run {run_id} is not registered; it may be over"}
        if given["variable"] != known.variable:
            return {
                "error": f"run {run_id} began with a credential of {known.variable}, not of "
                f"{given['variable']}; set the first and attach again"
            }
        upstream = Upstream.from_dict(given["upstream"])
        self._vault.give(run_id, Pass(known.variable, Secret(given["value"]), upstream))
        return {}

    def _forget_credentials(self) -> None:
        """Forget the credentials of runs that have ended."""
        for run_id in self._vault.run_ids():
            known = registration.read(self._files.home, run_id)
            if known is None or not known.is_live:
                self._vault.forget(run_id)

    async def _listen(self, host: str) -> dict[str, Any]:
        if host not in self._ports:
            try:
                await self._serve_tcp(host, _bind_any(host))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                return {
                    "error": f"the gateway can't listen on {host}: {reason}; name an address of this host"
                }
            self._write_state()
        return {"port": self._ports[host]}

    async def _serve_tcp(self, host: str, listener: socket.socket) -> None:
        self._ports[host] = listener.getsockname()[1]
        await self._serve_on(listener)

    async def _reopen_ports(self) -> None:
        """Listen where the gateway before us did: runs that it left know these ports."""
        for host, port in ((read_json(self._files.state) or {}).get("ports") or {}).items():
            try:
                await self._serve_tcp(host, _bind_tcp(host, port))
            except OSError as error:
                log.warning("port %s of %s can't be opened again: %s", port, host, error.strerror)

    def _write_state(self) -> None:
        state = {"version": 1, "pid": os.getpid(), "folder": str(self._files.folder), "ports": self._ports}
        write_private(self._files.state, state)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the gateway, which runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bind_unix(path: Path, folder: Path, mode: int) -> socket.socket:
    """Listen on a unix socket that appears at its path with its final mode, in place of a dead one."""
    fresh = folder / "new.sock"
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(fresh))
    fresh.chmod(mode)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    fresh.rename(path)
    return listener


def _bind_any(host: str) -> socket.socket:
    """Listen on a port that no system gives to whoever asks for any: after our death the next one gets it."""
    for port in random.sample(_PORTS, _PORT_TRIES):
        try:
            return _bind_tcp(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _bind_tcp(host, 0)


def _bind_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
