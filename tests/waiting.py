"""Waiting for what comes to pass in other processes; no test says how fast that is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ccnb import _loop
from ccnb.errors import CcnbError
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store

UNTIL_TOLD = "until [ -e told ]; do sleep 0.1; done; rm told"
"""What the shell of an agent does until somebody tells it to go on."""


def wait_for(condition: Callable[[], object], limit_s: float = 60.0) -> None:
    """Wait until something holds."""
    assert came_to_pass(condition, limit_s), "it did not come to pass in time"


def came_to_pass(condition: Callable[[], object], limit_s: float) -> bool:
    """Wait until something holds; return whether it did in time."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Wait until none of the processes that run tests is at a thing, and keep the others from it."""
    with (Path(tempfile.gettempdir()) / f"ccnb-tests-{what}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tell(run_id: str) -> None:
    """Let the agent of a run go on that waits until it is told."""
    row, place = Store().run(run_id), Store().place(run_id)
    assert place is not None
    # Its place may end with it before anybody can tell how this command ended. Untold, it waits for ever.
    with suppress(CcnbError):
        _loop.submit(get_mode(row.mode).exec(Place.from_dict(place), ["touch", "told"])).result()


def is_alive(pid: int) -> bool:
    """Return whether a process, or a thread of it that holds what it has open, is more than a name."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def gateway_pid(home: Path) -> int:
    """Return the id of the gateway of a store."""
    return int(json.loads((home / "gateway.state").read_text())["pid"])


def gateway_listens(home: Path) -> list[tuple[str, int]]:
    """Return the TCP addresses on which the gateway of a store listens."""
    return listens(gateway_pid(home))


def listens(pid: int) -> list[tuple[str, int]]:
    """Return the TCP addresses on which a process listens."""
    found = (one for one in psutil.net_connections("tcp") if one.pid == pid)
    return sorted(one.laddr for one in found if one.status == psutil.CONN_LISTEN)


def kill_gateway(home: Path) -> None:
    """Kill the gateway of a store; until it is dead, whoever looks for it finds it."""
    pid = gateway_pid(home)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
