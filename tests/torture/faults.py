"""What can go wrong while a run goes on, each as a function that does the harm to a scene."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ccnb import _loop
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.torture.scene import PATIENCE_S, Scene
from tests.torture.tasks import MODES
from tests.waiting import came_to_pass

OF_A_HARMED_AGENT = frozenset({"success", "agent_error", "lost", "infrastructure"})
OF_AN_INTERRUPT = frozenset({"success", "cancelled"})
NEAR = frozenset(MODES) - {"fly"}
ENGINES = frozenset({"docker", "podman"})
_DOCKER_PID = Path("/run/docker.pid")
_LIBFAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
_BEHIND = {"LD_PRELOAD": str(_LIBFAKETIME), "FAKETIME": "-3600s", "FAKETIME_DONT_RESET": "1"}
"""A clock that jumps while a process runs can't be had: the library then breaks `time.sleep`."""


@dataclass(frozen=True)
class Fault:
    """One kind of harm."""

    name: str
    harm: Callable[[Scene], None]
    outcomes: frozenset[str] = frozenset({"success"})
    """How the run may end when it is attached to after the harm."""
    modes: frozenset[str] = frozenset(MODES)
    agent: str | None = None
    """The one agent that it makes a difference to."""
    weight: int = 2
    missing: str | None = None
    """Why this machine can't have it done to it."""
    loses: bool = False
    """What had no room on the disk is nowhere; what is there must still be in order, each once."""
    needs_line: bool = False
    at_await: str | None = None
    """The signal that the client sends to itself, at a random one of its awaits."""
    behind: bool = False
    """The client's clock is an hour behind."""

    def variables(self, await_number: int) -> dict[str, str]:
        """Return the variables of a client that is to have it."""
        if self.at_await:
            return {"TORTURE_AT": f"{self.at_await}:{await_number}"}
        return _BEHIND if self.behind else {}


def _nothing(scene: Scene) -> None:
    """Do no harm: the control."""


def _kill_client(scene: Scene) -> None:
    scene.client.kill()


def _interrupt_client(scene: Scene) -> None:
    scene.client.send_signal(signal.SIGINT)


def _interrupt_twice(scene: Scene) -> None:
    """Press Ctrl-C, and again while the client cleans up."""
    _interrupt_client(scene)
    time.sleep(scene.random.uniform(0, 0.6))
    _interrupt_client(scene)


def _kill_agent(scene: Scene) -> None:
    for process in scene.processes():
        with contextlib.suppress(psutil.Error):
            if any(part.endswith("/claude") for part in process.cmdline()[:2]):
                process.kill()


def _kill_place(scene: Scene) -> None:
    """Kill all that runs in the place, as the kernel of a machine without memory might."""
    for process in scene.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


def _remove_place(scene: Scene) -> None:
    """Remove the place behind the client's back."""
    with contextlib.suppress(Exception):
        place = Store(scene.home).place(scene.run_id)
        if place is not None:
            _loop.submit(get_mode(scene.task.mode).destroy(Place.from_dict(place))).result(PATIENCE_S)


def _kill_gateway(scene: Scene) -> None:
    for process in scene.gateways():
        with contextlib.suppress(psutil.Error):
            process.kill()


def _kill_both(scene: Scene) -> None:
    _kill_gateway(scene)
    _kill_client(scene)


def _cut_line(scene: Scene) -> None:
    """Cut the network: at once, in mid-answer, or so that nothing comes and nobody says so."""
    line = scene.task.line
    assert line is not None
    if scene.random.random() < 0.5:
        line.hold_up()
    else:
        line.break_off(after=scene.random.choice([0, 1, 200, 2000]))
    time.sleep(scene.random.uniform(0.5, 6))
    line.mend()


def _cut_and_kill(scene: Scene) -> None:
    """Cut the network, and kill the client that waits for it."""
    line = scene.task.line
    assert line is not None
    line.hold_up()
    time.sleep(scene.random.uniform(0, 1))
    _kill_client(scene)
    line.break_off()
    line.mend()


def _engine(mode: str) -> psutil.Process:
    """Return the process of the engine that belongs to root."""
    if mode == "docker":
        return psutil.Process(int(_DOCKER_PID.read_text()))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_service = process.cmdline()[:3] == ["podman", "system", "service"]
            if is_service and process.uids().real == 0:
                return process
    raise LookupError("no process of podman's serves here")


def _pause_engine(scene: Scene) -> None:
    engine = _engine(scene.task.mode)
    engine.suspend()
    time.sleep(scene.random.uniform(0.5, 3))
    engine.resume()


def _restart_engine(scene: Scene) -> None:
    """Stop the engine and start it again as it was started; Docker's containers end with it."""
    engine = _engine(scene.task.mode)
    command, environment = engine.cmdline(), engine.environ()
    engine.terminate()
    engine.wait(60)
    subprocess.Popen(
        command,
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ask = {"docker": ["docker", "version"], "podman": ["podman", "--remote", "version"]}[scene.task.mode]
    came_to_pass(lambda: subprocess.run(ask, capture_output=True).returncode == 0, 60)


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
    """Follow the run from a second process too, which must see it end."""
    scene.see_out(scene.attach())


def _kill_first_of_two(scene: Scene) -> None:
    """Kill the client that follows while another one watches, which must take over."""
    second = scene.attach()
    time.sleep(scene.random.uniform(0, 2))
    _kill_client(scene)
    scene.see_out(second)


def _set_clock_back(scene: Scene) -> None:
    """Kill the client, and let one attach to whose clock the run has begun in the future."""
    _kill_client(scene)
    scene.see_out(scene.attach(_BEHIND))


def all_faults() -> Sequence[Fault]:
    """Return all faults, in an order that is the same on all machines."""
    not_root = None if os.geteuid() == 0 else "needs root"
    no_faketime = None if _LIBFAKETIME else "needs the package libfaketime"
    clock = {"missing": no_faketime, "modes": frozenset({"docker", "podman", "local"})}
    engine = {"modes": ENGINES, "missing": not_root}
    return [
        Fault("nothing", _nothing, weight=1),
        Fault("kill client", _kill_client, weight=3),
        Fault("kill client at an await", _nothing, at_await="SIGKILL", weight=3),
        Fault("interrupt client", _interrupt_client, OF_AN_INTERRUPT),
        Fault("interrupt client at an await", _nothing, OF_AN_INTERRUPT, at_await="SIGINT", weight=3),
        Fault("interrupt client twice", _interrupt_twice, OF_AN_INTERRUPT),
        Fault("kill agent", _kill_agent, OF_A_HARMED_AGENT),
        Fault("kill place", _kill_place, OF_A_HARMED_AGENT),
        Fault("remove place", _remove_place, OF_A_HARMED_AGENT),
        Fault("kill gateway", _kill_gateway, agent="real"),
        Fault("kill gateway and client", _kill_both, agent="real"),
        Fault("cut network", _cut_line, needs_line=True, weight=4),
        Fault("cut network and kill client", _cut_and_kill, needs_line=True),
        Fault("lock store", _lock_store),
        Fault("second client", _second_client),
        Fault("kill first of two clients", _kill_first_of_two),
        Fault("full disk", _fill_disk, OF_A_HARMED_AGENT, loses=True, missing=not_root),
        Fault("set clock back", _set_clock_back, **clock),
        Fault("kill client with clock behind", _kill_client, behind=True, **clock),
        Fault("pause engine", _pause_engine, **engine),
        Fault("restart engine", _restart_engine, OF_A_HARMED_AGENT, **engine),
    ]
