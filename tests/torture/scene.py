"""One run to be harmed: its store, its client, and what is true of both afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import ccnb
from ccnb import _loop
from ccnb.gateway import process as gateway
from ccnb.mode import get as get_mode
from ccnb.results import PHASES
from ccnb.runner.plan import store_id
from ccnb.store import Store
from tests.torture.tasks import Task

ROOM_FOR_STORE = "24m"
PATIENCE_S = 120

CLIENT = """
import json, sys
import ccnb
options = json.loads(sys.argv[1])
options["env"]["HIDDEN"] = ccnb.Secret(sys.stdin.readline().strip())
run = ccnb.start("Do it", **options)
print(run.run_id, flush=True)
run.result()
"""
ATTACHING = """
import sys
import ccnb
print(ccnb.attach(sys.argv[1]).result().outcome)
"""


@dataclass
class Scene:
    """A store of its own with one run in it, and the client that follows it."""

    mode: str
    home: Path
    mark: str
    secret: str
    random: random.Random
    environment: dict[str, str]
    client: subprocess.Popen[str]
    sayings: int
    """How many times its agent says something when nothing goes wrong: the numbers from 0."""
    run_id: str = ""
    said: list[str] = field(default_factory=list)
    """All that any client printed."""
    complaints: list[str] = field(default_factory=list)
    outcome: str = "none"

    def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until something holds, and say whether it did."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


@contextmanager
def scene(task: Task, more: dict[str, str], rng: random.Random) -> Iterator[Scene]:
    """Start a run in a fresh store by a client of its own; everything is removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="ccnb-torture-"))
    small_disk = os.geteuid() == 0
    if small_disk:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_FOR_STORE},mode=700", "tmpfs", str(home)]
        subprocess.run(mount, check=True)
    mark = f"{rng.getrandbits(64):016x}"
    environment = os.environ | task.environment | {"CCNB_HOME": str(home)}
    options = {**task.options, "env": {**task.variables, "TORTURE": mark}}
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, json.dumps(options)],
        env=environment | more,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    secret = f"hidden-{rng.getrandbits(128):032x}"
    made = Scene(task.mode, home, mark, secret, rng, environment, client, task.sayings)
    assert client.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(made.secret + "\n")
        client.stdin.flush()
    try:
        yield made
    finally:
        if client.poll() is None:
            client.kill()
        client.wait()
        _remove(home, small_disk=small_disk)


def _remove(home: Path, *, small_disk: bool) -> None:
    """Remove a store with what runs for it."""
    os.environ["CCNB_HOME"] = str(home)
    with contextlib.suppress(ccnb.CcnbError):
        ccnb.sweep(older_than_s=0)
    with contextlib.suppress(ccnb.CcnbError):
        gateway.stop(home)
    if small_disk:
        subprocess.run(["umount", "--lazy", str(home)], check=False)
    shutil.rmtree(home, ignore_errors=True)


def verdict(scene: Scene, outcomes: frozenset[str], *, loses: bool) -> list[str]:
    """Attach from this process, as a person would after the harm, and return what does not hold."""
    os.environ["CCNB_HOME"] = str(scene.home)
    complaints = [*scene.complaints]
    try:
        result = ccnb.attach(scene.run_id).result()
    except ccnb.CcnbError as error:
        return [*complaints, f"attach failed: {type(error).__name__}: {error}"]
    scene.outcome = result.outcome
    if result.outcome not in outcomes:
        complaints.append(f"outcome {result.outcome} ({result.error})")
    complaints += _of_events(result, scene.sayings, loses=loses)
    complaints += _of_timings(result)
    if result.outcome == "success" and not (result.check and result.check.passed):
        complaints.append(f"the check did not pass: {result.check}")
    complaints += _of_places(scene)
    complaints += _of_secrets(scene)
    complaints += _of_store(scene)
    return complaints


def _of_events(result: ccnb.RunResult, sayings: int, *, loses: bool) -> Iterator[str]:
    offsets = [event.offset for event in result.events]
    if offsets != sorted(set(offsets)):
        yield "events are not each there once and in order"
    texts = [event.text for event in result.events if event.type == "assistant" and event.text]
    if loses:
        if texts != sorted(set(texts), key=int):
            yield f"events are not in order: {texts}"
        return
    if texts != [str(number) for number in range(len(texts))]:
        yield f"events are missing: {texts}"
    if result.outcome == "success" and len(texts) != sayings:
        yield f"{len(texts)} of {sayings} events"


def _of_timings(result: ccnb.RunResult) -> Iterator[str]:
    phases = {name: getattr(result.timings, name) for name in PHASES}
    if any(value < 0 for value in phases.values()):
        yield f"a phase is negative: {phases}"
    if abs(sum(phases.values()) - result.timings.wall_s) > 0.001:
        yield f"the phases don't add up to {result.timings.wall_s}: {phases}"


def _of_places(scene: Scene) -> Iterator[str]:
    def left() -> list[object]:
        return list(_loop.submit(get_mode(scene.mode).places(store_id(Store(scene.home)))).result())

    if not scene.wait_for(lambda: not left(), 15):
        yield f"left behind: {left()}"


def _of_secrets(scene: Scene) -> Iterator[str]:
    secret = scene.secret.encode()
    for path in scene.home.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and secret in path.read_bytes():
                yield f"the secret is in {path.relative_to(scene.home)}"
    if any(scene.secret in said for said in scene.said):
        yield "the secret was printed"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if scene.secret in " ".join(process.cmdline()):
                yield f"the secret is in the arguments of process {process.pid}"


def _of_store(scene: Scene) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(scene.home / "ccnb.sqlite3")) as db:
        (whole,) = db.execute("PRAGMA integrity_check").fetchone()
    if whole != "ok":
        yield f"the store is damaged: {whole}"
