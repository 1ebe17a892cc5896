"""Mode `sandbox`: a microVM of Docker's, by `sbx` or by Docker Desktop's `docker sandbox`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ccnb.errors import EngineError, ModeUnavailableError, StartError
from ccnb.mode import _files
from ccnb.mode import _sandbox_network as closed
from ccnb.mode._docker_sandbox import DockerSandbox
from ccnb.mode._sandbox_program import Sandbox, SandboxProgram
from ccnb.mode._sbx import Sbx
from ccnb.mode.base import Exit, Image, Layout, Place, PlaceState, Plan, Readiness, Say
from ccnb.spec import RunSpec
from ccnb.store import RunFolder

_RANK = 60
_PROGRAMS: tuple[type[SandboxProgram], ...] = (Sbx, DockerSandbox)
"""The first that is installed is taken."""
_HOST = "host.docker.internal"
"""By which the sandbox's proxy knows this machine; its policy knows it as `localhost`."""
_NAME = re.compile(r"ccnb-([0-9a-f]{6})-(\d{6})(\d{6})(\w+)")
_BEAT_S = 5.0
"""Age up to which a heartbeat shows that the supervisor is there."""
_LEFT_S = 30.0
"""How long what a killed client has left may go on."""
_INSTALL = "install sbx (docs.docker.com/ai/sandboxes), or Docker Desktop 4.58 or newer"

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


class SandboxMode:
    """A place is a virtual machine that sees the workspace and the run folder at their own paths."""

    name = "sandbox"
    takes_archives = False
    auths = ("host", "gateway", "env")

    async def probe(self) -> Readiness:
        """Say which of the programs is here, whether it works, and what a person has to do once."""
        return await asyncio.to_thread(_probe)

    async def prepare(self, spec: RunSpec, say: Say) -> Image:  # noqa: ARG002 - a template is pulled by the program
        """See that sandboxes can be made.

        Raises
        ------
        ModeUnavailableError
        """
        return await asyncio.to_thread(_prepare, spec)

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:  # noqa: ARG002
        """Return the paths, which are the same as here, though not by way of a link."""
        return Layout(str(folder.inside.resolve()), str(workspace.resolve()), "")

    async def create(self, plan: Plan) -> Place:
        """Make a fresh sandbox, which runs at once, though nothing in it."""
        return await asyncio.to_thread(_create, plan)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the supervisor in it."""
        await asyncio.to_thread(_start, place, plan)
        return place

    def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Follow a file of the run folder, which both sides see."""
        return _files.follow(folder, name, offset)

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:  # noqa: ARG002
        """Make an empty file in the run folder."""
        folder.touch_inside(name)

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the sandbox."""
        program, workspace = _program(place), place.details["workspace"]
        said = await asyncio.to_thread(program.exec, place.id, argv, workspace, merged=True)
        return Exit(said.code, said.output)

    def shell(self, place: Place) -> list[str]:
        """Return the program's own command for a shell."""
        return _program(place).shell(place.id, ["bash"], place.details["workspace"])

    async def state(self, place: Place) -> PlaceState:
        """Ask the program, and where its word may be out of date, the supervisor itself."""
        return await asyncio.to_thread(_state, place)

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> None:  # noqa: ARG002
        """Take what the proxy has written down, where it was to hold a list; the files lie here already."""
        if place.details.get("closed"):
            output = await asyncio.to_thread(_program(place).requests, place.id)
            closed.write_log(folder.path, output, place.id, place.details["gateway"])

    async def destroy(self, place: Place) -> None:
        """Stop the sandbox, which ends all in it, and remove it."""
        await asyncio.to_thread(_remove, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the sandboxes of a store, found by their names: they have no labels."""
        return await asyncio.to_thread(_places, store_id)


def sandbox_name(store_id: str, run_id: str) -> str:
    """Return the name of a run's sandbox: short, for it becomes part of a socket's path."""
    return f"ccnb-{store_id[:6]}-{run_id.replace('-', '')}"


def run_of(name: str, store_id: str) -> str | None:
    """Return the run whose sandbox has a name; `None` when it isn't of this store."""
    found = _NAME.fullmatch(name)
    return "-".join(found.groups()[1:]) if found and found[1] == store_id[:6] else None


def chosen() -> SandboxProgram:
    """Return the program by which sandboxes are made here.

    Raises
    ------
    ModeUnavailableError
    """
    for program in _PROGRAMS:
        if program.is_installed():
            return program()
    raise ModeUnavailableError(f"neither sbx nor docker is installed; {_INSTALL}")


def _program(place: Place) -> SandboxProgram:
    """Return the program that made a place, whatever has been installed since."""
    return next(program for program in _PROGRAMS if program.name == place.details["program"])()


def _probe() -> Readiness:
    facts = {
        "where": "a virtual machine of this machine",
        "isolation": "microVM (a kernel of its own)",
        "auth": "added by Docker's proxy; nothing enters the sandbox",
        "workspace": "the same path, mounted",
        "state": "removed after the run",
        "cost": "free",
        "platform": "macOS; Linux with KVM (sbx)",
    }
    try:
        program = chosen()
        version = program.examine()
    except ModeUnavailableError as error:
        what, _, action = error.message.rpartition("; ")
        return Readiness("sandbox", False, why=what, next_action=action, rank=_RANK, facts=facts)
    facts["where"] += f", by {program.name}"
    notes = tuple(program.credential_notes())
    return Readiness("sandbox", True, version=version, rank=_RANK, facts=facts, notes=notes)


def _prepare(spec: RunSpec) -> Image:
    program = chosen()
    version = program.check()
    injects = spec.api_source == "live" and spec.auth == "host"
    warnings = program.credential_notes() if injects else []
    ignored = () if program.takes_limits else ("memory_mb", "cpus")
    warnings += [f"{program.name} ignores {name}" for name in ignored if getattr(spec, name) is not None]
    return Image(
        reference=spec.image or "",
        conditions={"engine": f"{program.name} {version}", **({"image": spec.image} if spec.image else {})},
        warnings=tuple(warnings),
        api_by_tcp=("127.0.0.1", _HOST),
        holds_network=True,
        injects=injects,
    )


def _create(plan: Plan) -> Place:
    program = chosen()
    folders = [plan.layout.workspace, plan.layout.inside]
    for folder in folders:
        if ":" in folder:
            raise StartError(
                f"{program.name} takes no folder with a colon in its path ({folder}); name another"
            )
    spec, gateway = plan.spec, _gateway(plan)
    name = sandbox_name(plan.store_id, plan.run_id)
    place = _place(plan.run_id, program, Sandbox(name, "running", tuple(folders)))
    place = replace(place, details={**place.details, "closed": spec.network != "open", "gateway": gateway})
    limits = []
    if program.takes_limits:
        limits += ["--memory", f"{spec.memory_mb}m"] if spec.memory_mb else []
        limits += ["--cpus", str(max(1, round(spec.cpus)))] if spec.cpus else []
    with _alone(plan.folder.path) as held:
        program.create(name, folders, image=plan.image.reference or None, limits=limits, held=held)
    try:
        if spec.network != "open":
            program.close(name, closed.hosts(spec, gateway))
        elif gateway:
            program.allow(name, [gateway])
    except EngineError:
        with suppress(EngineError):
            program.remove(name)
        raise
    return place


def _gateway(plan: Plan) -> str | None:
    """Return the gateway by the name under which the proxy's rules have it, if the model is behind it."""
    api = urlsplit(plan.env.get("ANTHROPIC_BASE_URL", ""))
    return f"localhost:{api.port}" if api.hostname == _HOST else None


def _place(run_id: str, program: SandboxProgram, sandbox: Sandbox) -> Place:
    workspace, inside = (*sandbox.folders, "", "")[:2]
    return Place(
        run_id,
        sandbox.name,
        {"program": program.name, "workspace": workspace, "folder": str(Path(inside).parent)},
    )


def _start(place: Place, plan: Plan) -> None:
    _write_env(plan)
    program, inside = _program(place), plan.layout.inside
    if plan.image.injects:
        command = [*_LOGIN, _KEEP_SESSIONS + _LAUNCH, inside, *plan.command]
    else:
        command = ["sh", "-c", _LAUNCH, inside, *plan.command]
    with _alone(plan.folder.path) as held:
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


@contextmanager
def _alone(folder: Path) -> Iterator[int | None]:
    """Wait until no program works on a run's sandbox any more; give the lock to pass on to the next.

    A client that is killed leaves the program that it has called, which may then make the sandbox, or start
    the supervisor, after the next client has looked.
    """
    if not folder.is_dir():
        yield None
        return
    lock = os.open(folder / "sandbox.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + _LEFT_S
    try:
        while not _locked(lock) and time.monotonic() < end:
            time.sleep(0.02)
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(place: Place) -> None:
    folder = Path(place.details["folder"])
    with _alone(folder):
        _program(place).remove(place.id)
    (folder / "inside" / "env").unlink(missing_ok=True)


def _state(place: Place) -> PlaceState:
    program, folder = _program(place), RunFolder(Path(place.details["folder"]))
    with _alone(folder.path):
        pass
    found = next((s for s in program.listing() if s.name == place.id), None)
    if found is None:
        return PlaceState("gone", detail=f"{program.name} has no such sandbox")
    if not folder.has_begun:
        return PlaceState("created")
    if folder.heartbeat_age_s < _BEAT_S:
        return PlaceState("alive")
    if found.status == "running":
        inside = str(folder.inside.resolve())
        if program.exec(place.id, ["sh", "-c", _IS_THERE, inside], "/").code == 0:
            return PlaceState("alive")
    return PlaceState("ended", detail=f"no supervisor runs in the sandbox, which is {found.status or '?'}")


def _places(store_id: str) -> list[Place]:
    """List what both programs have: a run's sandbox stays with the one that made it."""
    usual, found = chosen().name, []
    for kind in _PROGRAMS:
        program = kind()
        if not program.is_installed():
            continue
        try:
            listing = program.listing()
        except EngineError:
            if program.name == usual:
                raise
            continue
        for sandbox in listing:
            run_id = run_of(sandbox.name, store_id)
            if run_id is not None:
                found.append(_place(run_id, program, sandbox))
    return found
