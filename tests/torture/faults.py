"""What can go wrong while a run goes on, each as a function that does the harm to a scene."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from ccnb import _loop
from ccnb.gateway import process as gateway
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.torture.scene import ATTACHING, Scene

ENDINGS_OF_A_HARMED_AGENT = frozenset({"success", "agent_error", "lost", "infrastructure"})
DOCKER_PID = Path("/run/docker.pid")


@dataclass(frozen=True)
class Fault:
    """One kind of harm."""

    name: str
    harm: Callable[[Scene], None]
    outcomes: frozenset[str] = frozenset({"success"})
    """How the run may end when it is attached to after the harm."""
    modes: frozenset[str] = frozenset({"local", "docker", "podman"})
    agent: str | None = None
    """The one agent that it makes a difference to."""
    loses: bool = False
    """What had no room on the disk is nowhere; what is there must still be in order, each once."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables of the client."""


def _nothing(scene: Scene) -> None:
    """Do no harm: the control."""


def _kill_client(scene: Scene) -> None:
    scene.client.kill()


def _interrupt_client(scene: Scene) -> None:
    scene.client.send_signal(signal.SIGINT)


def _kill_agent(scene: Scene) -> None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_agent = any(part.endswith("/claude") for part in process.cmdline()[:2])
            if is_agent and process.environ().get("TORTURE") == scene.mark:
                process.kill()


def _kill_place(scene: Scene) -> None:
    store = Store(scene.home)
    with contextlib.suppress(Exception):
        place = store.place(scene.run_id)
        if place is not None:
            _loop.submit(get_mode(scene.mode).destroy(Place.from_dict(place))).result(60)
    store.close()


def _kill_gateway(scene: Scene) -> None:
    state = scene.home / "gateway.state"
    with contextlib.suppress(OSError, ValueError, gateway.GatewayError):
        if state.exists():
            gateway.stop(scene.home)


def _pause_engine(scene: Scene) -> None:
    engine = psutil.Process(int(DOCKER_PID.read_text()))
    engine.suspend()
    time.sleep(scene.random.uniform(0.5, 3))
    engine.resume()


def _restart_engine(scene: Scene) -> None:
    """Stop the Docker engine and start it again as it was started; its containers end with it."""
    engine = psutil.Process(int(DOCKER_PID.read_text()))
    command, environment = engine.cmdline(), engine.environ()
    engine.terminate()
    engine.wait(60)
    subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    scene.wait_for(lambda: subprocess.run(["docker", "version"], capture_output=True).returncode == 0, 60)


def _fill_disk(scene: Scene) -> None:
    """Fill the store's disk to the last byte, and make room again."""
    filler = scene.home / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(65_536)) == 65_536:
            pass
        while stream.write(b"x"):
            pass
    time.sleep(scene.random.uniform(0.2, 1.5))
    filler.unlink()


def _lock_store(scene: Scene) -> None:
    """Keep the store's database locked, as another process's long transaction would."""
    db = sqlite3.connect(scene.home / "ccnb.sqlite3", timeout=10, isolation_level=None)
    with contextlib.closing(db), contextlib.suppress(sqlite3.OperationalError):
        db.execute("BEGIN EXCLUSIVE")
        time.sleep(scene.random.uniform(0.5, 4))
        db.execute("ROLLBACK")


def _second_client(scene: Scene) -> None:
    """Follow the run from a second process too, which must see all of it."""
    second = subprocess.run(
        [sys.executable, "-c", ATTACHING, scene.run_id],
        env=scene.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    scene.said.append(second.stdout + second.stderr)
    if second.returncode:
        scene.complaints.append(f"the second client failed: {second.stderr.strip()[-300:]}")


def _kill_both(scene: Scene) -> None:
    _kill_gateway(scene)
    _kill_client(scene)


_FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def all_faults() -> list[Fault]:
    """Return the faults that this machine can have done to it."""
    faults = [
        Fault("nothing", _nothing),
        Fault("kill client", _kill_client),
        Fault("kill client", _kill_client),
        Fault("interrupt client", _interrupt_client, frozenset({"success", "cancelled"})),
        Fault("interrupt client", _interrupt_client, frozenset({"success", "cancelled"})),
        Fault("kill agent", _kill_agent, ENDINGS_OF_A_HARMED_AGENT),
        Fault("kill place", _kill_place, ENDINGS_OF_A_HARMED_AGENT),
        Fault("kill gateway", _kill_gateway, agent="real"),
        Fault("kill gateway and client", _kill_both, agent="real"),
        Fault("lock store", _lock_store),
        Fault("second client", _second_client),
    ]
    if os.geteuid() == 0:
        faults.append(Fault("full disk", _fill_disk, ENDINGS_OF_A_HARMED_AGENT, loses=True))
    if os.geteuid() == 0 and DOCKER_PID.exists():
        docker = frozenset({"docker"})
        faults += [
            Fault("pause engine", _pause_engine, modes=docker),
            Fault("restart engine", _restart_engine, ENDINGS_OF_A_HARMED_AGENT, modes=docker),
        ]
    if _FAKETIME is not None:
        back = (("LD_PRELOAD", str(_FAKETIME)), ("FAKETIME", "-3600s"), ("FAKETIME_DONT_RESET", "1"))
        faults.append(Fault("clock set back", _kill_client, environment=back))
    return faults
