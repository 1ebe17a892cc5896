"""Mode `local`: a process of this machine, walled off by bubblewrap where that works."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from ccnb import claude, network
from ccnb.errors import CcnbError, ModeUnavailableError, StartError
from ccnb.mode import _bubblewrap, _files
from ccnb.mode.base import Exit, Image, Layout, Place, PlaceState, Plan, Readiness, Say
from ccnb.spec import RunSpec
from ccnb.store import RunFolder

RUN_VARIABLE = "CCNB_RUN"
STORE_VARIABLE = "CCNB_STORE"
"""Labels, as far as processes have them: variables that all descendants inherit."""
_PLACE_VARIABLE = "CCNB_PLACE"

_DEATH_S = 5.0
_RANK_WALLED, _RANK_PLAIN = 20, 5
_INSTALL = "pip install 'ccnb-toolkit[local]'"
_NO_PROGRAM = "no claude program is on PATH, and the claude-agent-sdk wheel isn't installed"


class LocalMode:
    """A place is a process group: in namespaces of its own, or plain."""

    name = "local"
    takes_archives = False
    auths = ("env", "gateway")

    async def probe(self) -> Readiness:
        """Say whether there is a program to run, and how it would be walled off."""
        wall = await asyncio.to_thread(_bubblewrap.fault)
        program = claude.find_program()
        facts = {
            "where": "this machine",
            "isolation": "namespaces by bubblewrap" if wall is None else "none: a plain process",
            "auth": "environment variable of the process",
            "workspace": "the folder itself",
            "state": "a process that ends with the run",
            "cost": "free",
            "platform": "Linux (walled off), macOS (plain)",
        }
        rank = _RANK_WALLED if wall is None else _RANK_PLAIN
        if program is None:
            return Readiness(self.name, False, why=_NO_PROGRAM, next_action=_INSTALL, rank=rank, facts=facts)
        notes = ["memory, cpus and processes aren't limited"]
        if wall is not None:
            notes.append(f"{wall}: only the scripted model runs without isolation='none'")
        version = await asyncio.to_thread(_version, str(program))
        return Readiness(self.name, True, version=version, rank=rank, facts=facts, notes=tuple(notes))

    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """Find the program; refuse a real model that nothing would hold back.

        Raises
        ------
        ModeUnavailableError
        """
        program = claude.find_program()
        if program is None:
            raise ModeUnavailableError(f"{_NO_PROGRAM}; {_INSTALL}")
        wall = await asyncio.to_thread(_bubblewrap.fault)
        isolated = wall is None and spec.isolation != "none"
        if not isolated and spec.api_source in ("live", "record") and spec.isolation != "none":
            raise ModeUnavailableError(
                f"mode local has no wall here ({wall}), so a real model isn't let loose; "
                "use docker or podman, or say isolation='none' to run it in a plain process"
            )
        if not isolated and spec.network != "open":
            raise ModeUnavailableError(
                f"network {network.shown(spec.network)} can't be held for a plain process "
                f"({wall or 'isolation is none'}); use docker or podman"
            )
        engine = f"bubblewrap {_bubblewrap.version()}" if isolated else "plain process"
        ignored = [name for name in ("memory_mb", "cpus") if getattr(spec, name) is not None]
        return Image(
            reference=str(program),
            isolated=isolated,
            conditions={"engine": engine, "program": claude.stamp(program)},
            warnings=tuple(f"mode local ignores {name}" for name in ignored),
        )

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return the paths: the same as in a container behind a wall, the real ones without."""
        if image.isolated:
            return _bubblewrap.LAYOUT
        return Layout(str(folder.inside), str(workspace), "")

    async def create(self, plan: Plan) -> Place:
        """Say what will be started; a process is not there before it runs."""
        details = {
            "isolated": plan.image.isolated,
            "folder": str(plan.folder.path),
            "workspace": str(plan.workspace),
        }
        return Place(plan.run_id, "", details)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the supervisor in a session of its own, which our end doesn't touch."""
        return await asyncio.to_thread(_start, place, plan)

    def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Follow a file of the run folder."""
        return _files.follow(folder, name, offset)

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder."""
        folder.touch_inside(name)

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command beside the agent."""
        command = await asyncio.to_thread(_enter, place, argv)
        done = await asyncio.to_thread(
            subprocess.run, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        return Exit(done.returncode, done.stdout)

    def shell(self, place: Place) -> list[str]:
        """Return the command that opens a shell beside the agent."""
        return _enter(place, ["sh", "+m", "-i"])

    async def state(self, place: Place) -> PlaceState:
        """Look whether the supervisor is there."""
        return await asyncio.to_thread(_state, place)

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> None:
        """Do nothing: the files are where they belong, and belong to whom they should."""

    async def destroy(self, place: Place) -> None:
        """End every process of the run."""
        await asyncio.to_thread(_destroy, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the runs of a store that have a process, found by their variables."""
        return await asyncio.to_thread(_places, store_id)


def _start(place: Place, plan: Plan) -> Place:
    labels = {
        RUN_VARIABLE: plan.run_id,
        STORE_VARIABLE: plan.store_id,
        _PLACE_VARIABLE: json.dumps(place.details),
    }
    if plan.image.isolated:
        argv, path = _bubblewrap.argv(plan), _bubblewrap.PATH
    else:
        argv, path = _plain_argv(plan), os.environ.get("PATH", os.defpath)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    env = {"PATH": path, **kept, **plan.env, **labels}
    errors = plan.folder.path / "start.err"
    try:
        with errors.open("wb") as log:
            process = subprocess.Popen(
                argv,
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise StartError(f"{argv[0]} could not be started ({error.strerror}); run `ccnb doctor`") from None
    created = psutil.Process(process.pid).create_time()
    # Popen would complain of a child that is still alive when it is forgotten; the place remembers it.
    process.returncode = 0
    return Place(place.run_id, str(process.pid), {**place.details, "created": created})


def _plain_argv(plan: Plan) -> list[str]:
    """Return the supervisor's command with the program's own path: it may not be on PATH."""
    return ["sh", *(plan.image.reference if word == "claude" else word for word in plan.command)]


def _process(place: Place) -> psutil.Process | None:
    """Return the place's first process, if it is there and is no other of the same number."""
    if not place.id:
        return next(_of_run(place.run_id), None)
    pid = int(place.id)
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if _is_same(process, place) and not _is_dead(process):
            return process
    return None


def _is_same(process: psutil.Process, place: Place) -> bool:
    """Return whether a process is the place's and no later one of the same number.

    When it began is counted from the machine's start, and that moves with a clock that is set. Where its
    label can be read, which is not on every system, that can't be mistaken.
    """
    if abs(process.create_time() - place.details["created"]) < 1:
        return True
    return process.environ().get(RUN_VARIABLE) == place.run_id


def _state(place: Place) -> PlaceState:
    if _process(place) is not None:
        return PlaceState("alive")
    begun = (Path(place.details["folder"]) / "inside" / "steps").exists()
    if not place.id and not begun:
        return PlaceState("created")
    said = _last_line(Path(place.details["folder"]) / "start.err")
    return PlaceState("gone", detail=said or "its process is not there")


def _destroy(place: Place) -> None:
    process = _process(place)
    if process is not None and place.id:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, 9)
    until = time.monotonic() + _DEATH_S
    # Whoever left the group has kept the variable. What begins while we look is seen by the next look.
    while (left := _left(place, process)) and time.monotonic() < until:
        _kill(left, until)


def _left(place: Place, process: psutil.Process | None) -> list[psutil.Process]:
    """Return the processes of a run that are there; its first one also where its variables can't be read."""
    first = [process] if process is not None and not _is_dead(process) else []
    return [*_of_run(place.run_id), *first]


def _kill(processes: Sequence[psutil.Process], until: float) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    for process in processes:
        # Killed is not gone: until then it would be found as a place.
        while not _is_dead(process) and time.monotonic() < until:
            time.sleep(0.005)
        with suppress(psutil.Error, ChildProcessError):
            # Of those that are not our own children the machine's init takes leave, in its own time.
            process.wait(timeout=0)


def _is_dead(process: psutil.Process) -> bool:
    """Return whether nothing of a process runs, be it still in the table of processes."""
    try:
        # The first thread can be dead while others, with all that the process has open, are not.
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def _of_run(run_id: str) -> Iterator[psutil.Process]:
    """Yield the processes of a run, the oldest first."""
    for process, env in _labelled():
        if env.get(RUN_VARIABLE) == run_id:
            yield process


def _labelled() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid():
                continue
            env = process.environ()
            if RUN_VARIABLE in env and not _is_dead(process):
                yield process, env


def _places(store_id: str) -> list[Place]:
    found: dict[str, Place] = {}
    for process, env in _labelled():
        run_id = env[RUN_VARIABLE]
        if env.get(STORE_VARIABLE) == store_id and run_id not in found:
            details = {**json.loads(env[_PLACE_VARIABLE]), "created": process.create_time()}
            found[run_id] = Place(run_id, str(process.pid), details)
    return list(found.values())


def _enter(place: Place, argv: Sequence[str]) -> list[str]:
    process = _process(place)
    if process is None:
        raise CcnbError(f"the place of run {place.run_id} is gone; run it again with keep=True")
    if not place.details["isolated"]:
        return ["sh", "-c", 'cd "$0" && exec "$@"', place.details["workspace"], *argv]
    return _bubblewrap.enter(process, argv)


@cache
def _version(program: str) -> str:
    """Return what a program says of its version; without a home, so that it touches none."""
    try:
        env = {"PATH": os.defpath, "HOME": "/nonexistent"}
        done = subprocess.run(
            [program, "--version"], env=env, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    return done.stdout.strip().partition(" ")[0]


def _last_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().rpartition("\n")[2]
    except OSError:
        return ""
