"""A place of mode `sandbox`: how it is made and started, what state it is in, how it ends."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ccnb.errors import EngineError, StartError
from ccnb.mode import _sandbox_lasting as lasting
from ccnb.mode import _sandbox_network as closed
from ccnb.mode._sandbox_choice import chosen, everyone, named
from ccnb.mode._sandbox_folder import LastingFolder
from ccnb.mode._sandbox_lock import alone
from ccnb.mode._sandbox_names import name_for_run, name_that_lasts, run_of
from ccnb.mode._sandbox_program import SandboxProgram
from ccnb.mode.base import Place, PlaceState, Plan
from ccnb.store import RunFolder

HOST = "host.docker.internal"
"""By which the sandbox's proxy knows this machine; its policy knows it as `localhost`."""
_BEAT_S = 5.0
"""Age up to which a heartbeat shows that the supervisor is there."""

_LAUNCH = """
inside=$0
. "$inside/env" && rm -f "$inside/env"
session=
! command -v setsid >/dev/null || session=setsid
$session sh "$@" </dev/null >/dev/null 2>"$inside/start.err" &
echo $! >"$inside/pid"
"""
"""Starts the supervisor in the background: of the two programs' own ways to do so, one hangs (sbx, #505)."""

_KEEP_SESSIONS = """
inside=$0
mkdir -p ~/.claude "$inside/config/projects"
[ -e ~/.claude/projects ] || ln -s "$inside/config/projects" ~/.claude/projects
"""
"""Where the agent has the sandbox's own home, its conversations outlive that home all the same."""

_IS_THERE = 'grep -aqF "$0" "/proc/$(cat "$0/pid")/cmdline"'
"""Whether the supervisor is there. By its arguments: in a sandbox started anew another has its number."""

_LOGIN = ("bash", "-lc", 'exec sh -c "$0" "$@"')
"""What the proxy's stand-in for the credential is in is read by login shells alone (sbx, #53)."""


def program_of(place: Place) -> SandboxProgram:
    """Return the program that made a place."""
    return named(place.details["program"])


def create(plan: Plan) -> Place:
    """Make a run's place: a fresh sandbox, or the run's use of one that lasts.

    Raises
    ------
    ModeUnavailableError, StartError
    """
    program, folders = chosen(), [plan.layout.workspace, plan.layout.inside]
    for folder in folders:
        if ":" in folder:
            raise StartError(
                f"{program.name} takes no folder with a colon in its path ({folder}); name another"
            )
    spec, name, gateway = plan.spec, _name(plan), _gateway(plan)
    with alone(plan.folder.path) as held:
        image, limits = plan.image.reference or None, _limits(plan, program)
        make = partial(program.create, name, folders, image=image, limits=limits, held=held)
        warm = bool(spec.sandbox) and lasting.enter(plan, program, name, make)
        if not spec.sandbox:
            make()
    details = {"closed": spec.network != "open", "gateway": gateway, "lasting": spec.sandbox}
    place = Place(
        plan.run_id,
        name,
        _details(program, folders[0], plan.folder.path) | details,
        {"sandbox": "warm" if warm else "cold"},
    )
    try:
        if spec.network != "open":
            program.close(name, closed.hosts(spec, gateway))
        elif gateway:
            program.allow(name, [gateway])
    except EngineError:
        with suppress(EngineError):
            remove(place)
        raise
    return place


def _name(plan: Plan) -> str:
    if plan.spec.sandbox:
        return name_that_lasts(plan.store_id, plan.spec.sandbox)
    return name_for_run(plan.store_id, plan.run_id)


def _limits(plan: Plan, program: SandboxProgram) -> list[str]:
    spec, limits = plan.spec, list[str]()
    if program.takes_limits:
        limits += ["--memory", f"{spec.memory_mb}m"] if spec.memory_mb else []
        limits += ["--cpus", str(max(1, round(spec.cpus)))] if spec.cpus else []
    return limits


def _gateway(plan: Plan) -> str | None:
    """Return the gateway by the name under which the proxy's rules have it, if the model is behind it."""
    api = urlsplit(plan.env.get("ANTHROPIC_BASE_URL", ""))
    return f"localhost:{api.port}" if api.hostname == HOST else None


def _details(program: SandboxProgram, workspace: str, folder: Path) -> dict[str, Any]:
    return {"program": program.name, "workspace": workspace, "folder": str(folder)}


def start(place: Place, plan: Plan) -> None:
    """Start the supervisor in a place.

    Raises
    ------
    StartError
    """
    _write_env(plan)
    program, inside = program_of(place), plan.layout.inside
    if plan.image.injects:
        command = [*_LOGIN, _KEEP_SESSIONS + _LAUNCH, inside, *plan.command]
    else:
        command = ["sh", "-c", _LAUNCH, inside, *plan.command]
    with alone(plan.folder.path) as held:
        said = program.exec(place.id, command, "/", held=held)
    if said.code:
        (plan.folder.inside / "env").unlink(missing_ok=True)
        raise StartError(program.error("exec", said).message)


def _write_env(plan: Plan) -> None:
    """Leave the environment for the supervisor in a file that goes when it is read.

    An option would show the values to everybody on this machine, and a program's own file of variables takes
    no value with a line break in it.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in plan.env.items()]
    path = plan.folder.inside / "env"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", errors="surrogateescape") as file:
        file.write("\n".join(lines) + "\n")


def remove(place: Place) -> None:
    """Stop a place's sandbox, which ends all in it, and remove it, unless it lasts.

    Raises
    ------
    EngineError
    """
    program, folder = program_of(place), RunFolder(Path(place.details["folder"]))
    with alone(folder.path):
        if place.details.get("lasting"):
            lasting.leave(place, folder, program)
        else:
            program.remove(place.id)
    (folder.inside / "env").unlink(missing_ok=True)


def state(place: Place) -> PlaceState:
    """Ask the program, and where its word may be out of date, the supervisor itself.

    Raises
    ------
    EngineError
    """
    program, folder = program_of(place), RunFolder(Path(place.details["folder"]))
    with alone(folder.path):
        pass
    found = next((s for s in program.listing() if s.name == place.id), None)
    if found is None:
        return PlaceState("gone", detail=f"{program.name} has no such sandbox")
    name = place.details.get("lasting")
    if name and LastingFolder.of(folder, name).holder != place.run_id:
        return PlaceState("gone", detail="the run doesn't have the sandbox any more")
    if not folder.has_begun:
        return PlaceState("created")
    if folder.heartbeat_age_s < _BEAT_S:
        return PlaceState("alive")
    if found.status == "running":
        inside = str(folder.inside.resolve())
        if program.exec(place.id, ["sh", "-c", _IS_THERE, inside], "/").code == 0:
            return PlaceState("alive")
    return PlaceState("ended", detail=f"no supervisor runs in the sandbox, which is {found.status or '?'}")


def of_runs(store_id: str) -> list[Place]:
    """Return the places of a store's runs that have a sandbox of their own."""
    found = []
    for program, sandbox in everyone():
        run_id = run_of(sandbox.name, store_id)
        if run_id is not None:
            workspace, inside = (*sandbox.folders, "", "")[:2]
            details = _details(program, workspace, Path(inside).parent)
            found.append(Place(run_id, sandbox.name, details))
    return found
