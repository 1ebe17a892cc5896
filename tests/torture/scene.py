"""One run to be harmed: its store, its client, and the means to look at both."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import ccnb
from ccnb import _loop
from ccnb.gateway import process as gateway
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.runner.plan import store_id
from ccnb.store import Store
from tests.torture.tasks import Task
from tests.waiting import came_to_pass

ROOM_FOR_STORE = "24m"
START_S = 60
PATIENCE_S = 120
CLIENT = Path(__file__).parent / "client.py"


@dataclass
class Scene:
    """A store of its own with one run in it, and the client that follows it."""

    task: Task
    home: Path
    mark: str
    """Stands in the variable TORTURE of every process of the place."""
    secret: str
    random: random.Random
    environment: dict[str, str]
    client: subprocess.Popen[str]
    output: Path
    """Where the client prints to."""
    left_before: list[str]
    """What an earlier run has left beyond its place."""
    run_id: str = ""
    said: list[str] = field(default_factory=list)
    """All that any client printed."""
    complaints: list[str] = field(default_factory=list)
    outcome: str = "none"

    @property
    def hidden(self) -> list[str]:
        """Return what must not show."""
        return [value for value in (self.secret, self.task.key) if value]

    def await_begin(self) -> bool:
        """Wait until the client has named its run; return whether there is one."""
        came_to_pass(lambda: "\n" in self.output.read_text() or self.client.poll() is not None, START_S)
        rows = Store(self.home).runs()
        self.run_id = rows[0].run_id if rows else ""
        return bool(rows)

    def see_client_out(self) -> None:
        """Wait for the client's own end, and keep what it printed."""
        try:
            self.client.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.complaints.append("the client does not end")
            self.client.kill()
        self.said.append(self.output.read_text())

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the processes of the place: root sees those in containers too."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TORTURE") == self.mark:
                    yield process

    def gateways(self) -> Iterator[psutil.Process]:
        """Yield the gateway's process."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("CCNB_HOME") == str(self.home)
                if ours and "ccnb.gateway" in process.cmdline():
                    yield process

    def places(self) -> list[Place]:
        """Return what the mode has for this store."""
        mode = get_mode(self.task.mode)
        return list(_loop.submit(mode.places(store_id(Store(self.home)))).result(PATIENCE_S))

    def attach(self, more: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start another client, which attaches to the run; `more` are variables of its own."""
        return subprocess.Popen(
            [sys.executable, "-P", CLIENT, "attach", self.run_id],
            env=self.environment | (more or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def see_out(self, client: subprocess.Popen[str]) -> None:
        """Wait for the end of another client, which must be a good one, and keep what it printed."""
        try:
            said, _ = client.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            client.kill()
            said, _ = client.communicate()
        self.said.append(said)
        if client.returncode:
            why = said.strip()[-300:] or f"it ended with {client.returncode}"
            self.complaints.append(f"a client that attached failed: {why}")


@contextmanager
def scene(task: Task, more: dict[str, str], rng: random.Random) -> Iterator[Scene]:
    """Start a run in a fresh store by a client of its own; everything is removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="ccnb-torture-"))
    output = Path(f"{home}.out")
    with pytest.MonkeyPatch.context() as settings, contextlib.ExitStack() as at_end:
        at_end.callback(output.unlink, missing_ok=True)
        for name, value in {**task.environment, "CCNB_HOME": str(home)}.items():
            settings.setenv(name, value)
        if os.geteuid() == 0:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_FOR_STORE},mode=700", "tmpfs", home]
            subprocess.run(mount, check=True)
        at_end.callback(_remove, home)
        made = _start(task, home, output, more, rng)
        at_end.callback(_end, made.client)
        yield made


def _start(task: Task, home: Path, output: Path, more: dict[str, str], rng: random.Random) -> Scene:
    mark = f"{rng.getrandbits(64):016x}"
    secret = f"hidden-{rng.getrandbits(128):032x}"
    environment, left_before = dict(os.environ), task.left()
    options = {**task.options, "env": {**task.variables, "TORTURE": mark}}
    with output.open("w") as printed:
        client = subprocess.Popen(
            [sys.executable, "-P", CLIENT, "start", json.dumps(options)],
            env=environment | more,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    assert client.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(secret + "\n")
        client.stdin.flush()
    return Scene(task, home, mark, secret, rng, environment, client, output, left_before)


def _end(client: subprocess.Popen[str]) -> None:
    if client.poll() is None:
        client.send_signal(signal.SIGKILL)
    client.wait()
    assert client.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        client.stdin.close()


def _remove(home: Path) -> None:
    """Remove a store with what runs for it."""
    with contextlib.suppress(ccnb.CcnbError):
        ccnb.sweep(older_than_s=0)
    with contextlib.suppress(ccnb.CcnbError):
        gateway.stop(home)
    if os.path.ismount(home):
        subprocess.run(["umount", "--lazy", home], check=False)
    shutil.rmtree(home, ignore_errors=True)
