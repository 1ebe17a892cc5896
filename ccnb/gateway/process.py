"""The gateway's process, seen from its clients: start it, find it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccnb.errors import GatewayError
from ccnb.gateway.meeting import Rendezvous, answers, locked, meeting
from ccnb.gateway.registration import read_json
from ccnb.gateway.upstream import Pass

_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 5.0
_CONTROL_TIMEOUT_S = 5.0
_DYING_S = 1.0

# The gateway gets what an interpreter needs and no credential: those never come by environment.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Address:
    """Where the gateway is reached."""

    socket_dir: Path
    """The folder to mount in a place; a restarted gateway's socket appears in it."""
    socket: Path
    port: int | None
    """The TCP port on the asked-for host; None when no host was asked for."""


def ensure(home: Path, *, tcp_host: str | None = None) -> Address:
    """Make sure that the gateway of a store serves, starting it when it doesn't.

    Register a run before: a gateway without registered runs ends itself. Blocks for about half a second when
    it has to start one.

    Parameters
    ----------
    home
        The store's folder.
    tcp_host
        Address on which the gateway is to listen too, on a port of its choice.

    Raises
    ------
    GatewayError
        The gateway does not start, or can't listen on that address.
    """
    home = home.absolute()
    try:
        return _ensured(home, tcp_host)
    except GatewayError:
        # One that was killed as it started, or as it was asked to listen, is replaced the next time.
        return _ensured(home, tcp_host)


def _ensured(home: Path, tcp_host: str | None) -> Address:
    address = _serving(home, tcp_host)
    if address is not None:
        return address
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(home / "gateway.lock", _START_TIMEOUT_S * 2):
        if _serving(home, None) is None and not announced(meeting(home)):
            _start(meeting(home))
        address = _serving(home, tcp_host)
        if address is None and tcp_host is not None:
            port = int(_ask(_known(home), {"do": "listen", "host": tcp_host})["port"])
            return _address(_known(home), port)
    if address is None:
        raise GatewayError(f"the gateway ended right after its start; see {home / 'gateway.log'}")
    return address


def stop(home: Path) -> bool:
    """End the gateway of a store; False when none was running.

    Registered runs keep their keys: the next `ensure` serves them again, on the same socket and ports.

    Raises
    ------
    GatewayError
        It can't be ended.
    """
    home = home.absolute()
    if not (home / "gateway.state").exists():
        return False
    with locked(home / "gateway.lock", _START_TIMEOUT_S * 2):
        files = _known(home)
        try:
            pid = int(_ask(files, {"do": "announce"})["pid"])
        except GatewayError:
            # One that is just dying may have taken the connection and dropped it.
            if _ended(files, _DYING_S):
                return False
            raise
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if _ended(files, _STOP_TIMEOUT_S):
                return True
    raise GatewayError(f"the gateway (process {pid}) does not end; end it by hand")


def give(home: Path, run_id: str, given: Pass) -> None:
    """Give a running gateway the credential of a run; it goes by a private socket and is kept in memory.

    Raises
    ------
    GatewayError
        The gateway does not answer, or the run is not registered for a credential of this kind.
    """
    _ask(
        _known(home.absolute()),
        {
            "do": "credential",
            "run_id": run_id,
            "variable": given.variable,
            "value": given.value.reveal(),
            "upstream": given.upstream.to_dict(),
        },
    )


def knows(home: Path, run_id: str) -> bool:
    """Whether a running gateway has a run's credential; one that was started anew has none.

    Raises
    ------
    GatewayError
    """
    return bool(_ask(_known(home.absolute()), {"do": "knows", "run_id": run_id})["knows"])


def announced(files: Rendezvous) -> bool:
    """Have a running gateway write down where it is, as its store may be new; False when none runs."""
    with contextlib.suppress(GatewayError):
        return bool(_ask(files, {"do": "announce"}))
    return False


def _serving(home: Path, tcp_host: str | None) -> Address | None:
    """Return the running gateway's address; None when it does not serve, or not on that host."""
    state = read_json(home / "gateway.state")
    if state is None or not isinstance(state.get("folder"), str):
        return None
    files = Rendezvous(home, Path(state["folder"]))
    port = state.get("ports", {}).get(tcp_host)
    if (tcp_host is not None and port is None) or not answers(files.socket):
        return None
    return _address(files, port)


def _known(home: Path) -> Rendezvous:
    """Return the running gateway's files: its folder for temporary files may be another than ours."""
    state = read_json(home / "gateway.state") or {}
    folder = state.get("folder")
    return Rendezvous(home, Path(folder)) if isinstance(folder, str) else meeting(home)


def _address(files: Rendezvous, port: int | None) -> Address:
    return Address(files.socket_dir, files.socket, port)


def _start(files: Rendezvous) -> None:
    """Start the process and wait until it listens."""
    ready, told = os.pipe()
    try:
        with open(files.log, "ab", opener=_private) as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "ccnb.gateway"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(files.home, told),
                pass_fds=(told,),
                start_new_session=True,
            )
        os.close(told)
        told = -1
        child.wait()  # It forks and ends at once, so that the gateway is nobody's child.
        if not _is_ready(ready):
            raise GatewayError(f"the gateway does not start: {_last_line(files.log)}; see {files.log}")
    finally:
        for fd in (ready, told):
            if fd >= 0:
                os.close(fd)


def _is_ready(fd: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(_START_TIMEOUT_S)) and os.read(fd, 1) == b"+"


def _environment(home: Path, ready_fd: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("CCNB_GATEWAY_")}
    kept |= {"CCNB_HOME": os.fspath(home), "CCNB_GATEWAY_READY_FD": str(ready_fd)}
    root = Path(__file__).parents[2]
    if root.name not in {"site-packages", "dist-packages"}:
        # Imported from a checkout that only our own sys.path may know.
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [kept.get("PYTHONPATH"), os.fspath(root)]))
    return kept


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _ask(files: Rendezvous, question: dict[str, Any]) -> dict[str, Any]:
    """Put a question to the running gateway by its control socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_CONTROL_TIMEOUT_S)
            client.connect(os.fspath(files.control))
            client.sendall(json.dumps(question).encode() + b"\n")
            with client.makefile("rb") as stream:
                reply: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise GatewayError(f"the gateway does not answer ({error}); see {files.log}") from None
    if "error" in reply:
        raise GatewayError(str(reply["error"]))
    return reply


def _ended(files: Rendezvous, timeout_s: float) -> bool:
    """Whether the gateway's lock is free, within some seconds."""
    if not files.serving.exists():
        return True
    with contextlib.suppress(GatewayError), locked(files.serving, timeout_s):
        return True
    return False
