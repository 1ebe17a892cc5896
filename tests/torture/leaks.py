"""Where a secret could show: in arguments, in what an engine tells, in the store, in what was printed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import psutil

from ccnb.engine import connect
from ccnb.errors import EngineError
from ccnb.mode.base import LABEL_STORE
from ccnb.runner.plan import store_id
from ccnb.store import Store
from tests.searching import files_below
from tests.torture.scene import Scene


def at_work(scene: Scene) -> Iterator[str]:
    """Yield where a secret shows while the run goes on.

    A secret of the run's own, and a key with `auth="env"`, stand in the place's environment and nowhere else;
    a key with any other `auth` doesn't even stand there.
    """
    yield from _in_arguments(scene)
    key = scene.task.key
    holds_key = scene.task.options.get("auth") in ("env", "secret")
    if key and not holds_key:
        for process in [*scene.processes(), *scene.gateways()]:
            with contextlib.suppress(psutil.Error):
                if any(key in value for value in process.environ().values()):
                    yield f"the key is in the environment of process {process.pid}"
    yield from _in_containers(scene, holds_key=holds_key)
    if any(value in scene.task.tells() for value in scene.hidden):
        yield "a secret is in what the platform tells of its machines"


def at_rest(scene: Scene) -> Iterator[str]:
    """Yield where a secret shows when the run is over."""
    yield from _in_arguments(scene)
    hidden = [value.encode() for value in scene.hidden]
    for path in files_below(scene.home):
        # What the agent itself wrote is kept as it came, in the run's private folder.
        if path.match("runs/*/inside/out"):
            continue
        with contextlib.suppress(OSError):
            if any(map(path.read_bytes().__contains__, hidden)):
                yield f"a secret is in {path.relative_to(scene.home)}"
    if any(value in said for said in scene.said for value in scene.hidden):
        yield "a secret was printed"


def _in_arguments(scene: Scene) -> Iterator[str]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(value in word for word in process.cmdline() for value in scene.hidden):
                yield f"a secret is in the arguments of process {process.pid}"


def _in_containers(scene: Scene, *, holds_key: bool) -> Iterator[str]:
    """Yield where a secret shows in what `docker inspect` or `podman inspect` tells of the place."""
    if scene.task.mode not in ("docker", "podman"):
        return
    with contextlib.suppress(EngineError):
        engine = connect(scene.task.mode)
        for listed in engine.list([f"{LABEL_STORE}={store_id(Store(scene.home))}"]):
            told = engine.inspect(listed["Id"]) or {}
            variables = told.get("Config", {}).pop("Env", None) or []
            rest = json.dumps(told) + json.dumps(listed)
            if not holds_key:
                rest += "".join(v for v in variables if not v.startswith("HIDDEN="))
            if any(value in rest for value in scene.hidden):
                yield f"a secret is in what the engine tells of container {listed['Id']}"
