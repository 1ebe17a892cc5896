"""Mode `byhand` of ccnb: a container as one makes it by hand, with the `docker` program.

`BYHAND_PROGRAM` names another program that takes the same words, such as `nerdctl`. The engine must be
of this machine and see its folders, and the caller may be root, or its root must be the engine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ccnb.engine import default_reference
from ccnb.errors import EngineError, ImageError
from ccnb.mode import follow, lend, owners, reclaim
from ccnb.mode.base import (
    AGENT_UID,
    Exit,
    Image,
    Layout,
    Place,
    PlaceState,
    Plan,
    Readiness,
    Say,
)
from ccnb.spec import RunSpec
from ccnb.store import RunFolder

LAYOUT = Layout(inside="/ccnb", workspace="/workspace", api_socket="/run/ccnb-api/api.sock")
RUN, STORE, PLACE = "byhand.run", "byhand.store", "byhand.place"
"""Labels of our own: with those of ccnb's modes, mode `docker` would take our containers for its."""
BY_VALUE = ("HOME", "PATH")
"""Variables that mean something to the program itself. They are no secrets."""


# --8<-- [start:probe]
class ByHandMode:
    """A place is a container."""

    name = "byhand"
    takes_archives = False
    auths = ("env", "gateway")

    async def probe(self) -> Readiness:
        """Say whether the program is there and an engine answers it."""
        facts = {
            "where": "this machine, by a program in the manner of docker's",
            "isolation": "container (shared kernel)",
            "auth": "environment variable of the place",
            "workspace": "mounted at /workspace",
            "state": "removed after the run",
            "cost": "free",
            "platform": "Linux",
        }
        try:
            version = await _call("version", "--format", "{{.Server.Version}}")
        except EngineError as error:
            why, _, action = error.message.rpartition("; ")
            return Readiness(self.name, False, why=why, next_action=action, facts=facts)
        return Readiness(self.name, True, version=version, rank=10, facts=facts)

    # --8<-- [end:probe]
    # --8<-- [start:create]
    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """Find the image: the named one, else the project's own."""
        reference = spec.image or default_reference()
        try:
            digest = await _call("image", "inspect", "--format", "{{.Id}}", reference)
        except EngineError:
            raise ImageError(f"image {reference!r} isn't there; `ccnb image build`, or pull it") from None
        return Image(reference, conditions={"image": reference, "image_digest": digest})

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return where the container sees its folders: always the same."""
        return LAYOUT

    async def create(self, plan: Plan) -> Place:
        """Make the container; whatever is needed to find it again is in its labels."""
        uid, gid = (os.getuid(), os.getgid()) if os.getuid() else (AGENT_UID, AGENT_UID)
        details = {
            "user": f"{uid}:{gid}",
            "lent": uid != os.getuid(),
            "keep": plan.spec.keep,
            "folder": str(plan.folder.path),
            "workspace": str(plan.workspace),
        }
        if details["lent"]:
            await asyncio.to_thread(_lend, plan, uid)
        labels = {RUN: plan.run_id, STORE: plan.store_id, PLACE: json.dumps(details)}
        words = [
            *("create", "--init", "--user", details["user"], "--workdir", "/", "--entrypoint", "sh"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--network", "bridge" if plan.spec.network == "open" else "none"),
            *("--pids-limit", str(plan.spec.max_processes), "--memory", f"{plan.spec.memory_mb or 4096}m"),
            *(["--cpus", str(plan.spec.cpus)] if plan.spec.cpus else []),
            *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
            *_mounts(plan),
            *_variables(plan.env),
        ]
        # A value would be seen in the list of processes: the program takes them from its own environment.
        env = {name: value for name, value in plan.env.items() if name not in BY_VALUE}
        container = await _call(*words, plan.image.reference, *plan.command, env=env)
        return Place(plan.run_id, container, details)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the supervisor. It goes on whatever becomes of us."""
        await _call("start", place.id)
        return place

    # --8<-- [end:create]
    # --8<-- [start:look]
    def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Follow a file of the run folder, which is mounted."""
        return follow(folder, name, offset)

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder."""
        folder.touch_inside(name)

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the container."""
        done = await asyncio.to_thread(_run, *self._exec(place), place.id, *argv, together=True)
        return Exit(done.returncode, done.stdout)

    def shell(self, place: Place) -> list[str]:
        """Return the command that opens a shell."""
        return [_program(), *self._exec(place), "--interactive", "--tty", place.id, "sh"]

    def _exec(self, place: Place) -> list[str]:
        return ["exec", "--user", place.details["user"], "--workdir", LAYOUT.workspace]

    async def state(self, place: Place) -> PlaceState:
        """Ask the engine."""
        try:
            said = await _call("container", "inspect", "--format", "{{json .State}}", place.id)
        except EngineError as error:
            if "no such" not in error.message.lower():
                raise
            return PlaceState("gone", detail="the engine has no such container")
        state = json.loads(said)
        if state["Status"] in ("running", "paused", "restarting"):
            return PlaceState("alive")
        if state["Status"] == "created":
            return PlaceState("created")
        return PlaceState("ended", code=state["ExitCode"], out_of_memory=state["OOMKilled"])

    # --8<-- [end:look]
    # --8<-- [start:end]
    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> None:
        """Take back what was lent; the files lie here already."""
        if not place.details["keep"]:
            await asyncio.to_thread(_take_back, place)

    async def destroy(self, place: Place) -> None:
        """Remove the container; harmless when it is gone."""
        try:
            await _call("rm", "--force", "--volumes", place.id)
        except EngineError as error:
            if "no such" not in error.message.lower() and "already in progress" not in error.message:
                raise
        await asyncio.to_thread(_take_back, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the containers that carry a store's label."""
        form = f'{{{{.ID}}}} {{{{.Label "{RUN}"}}}} {{{{.Label "{PLACE}"}}}}'
        mine = f"label={STORE}={store_id}"
        listed = await _call("ps", "--all", "--no-trunc", "--filter", mine, "--format", form)
        found = [line.split(" ", 2) for line in listed.splitlines()]
        return [Place(run_id, container, json.loads(details)) for container, run_id, details in found]

    # --8<-- [end:end]


def _mounts(plan: Plan) -> list[str]:
    folders = {str(plan.folder.inside): LAYOUT.inside, str(plan.workspace): LAYOUT.workspace}
    words = [f"type=bind,source={source},target={target}" for source, target in folders.items()]
    if plan.api_folder:
        target = Path(LAYOUT.api_socket).parent
        words.append(f"type=bind,source={plan.api_folder},target={target},readonly")
    return [part for word in words for part in ("--mount", word)]


def _variables(env: Mapping[str, str]) -> list[str]:
    given = [f"{name}={value}" if name in BY_VALUE else name for name, value in env.items()]
    return [word for one in given for word in ("--env", one)]


def _lend(plan: Plan, uid: int) -> None:
    """Let the agent, which must not be root where we are, write to its two folders."""
    plan.folder.write_private("owners", owners(plan.workspace, uid))
    lend(plan.workspace, uid)
    lend(plan.folder.inside, uid)


def _take_back(place: Place) -> None:
    """Give the caller what was lent and what the agent made; once only."""
    folder = RunFolder(Path(place.details["folder"]))
    earlier = folder.read_private("owners") if place.details["lent"] else None
    if earlier is None:
        return
    uid = int(place.details["user"].partition(":")[0])
    reclaim(Path(place.details["workspace"]), uid, earlier)
    reclaim(folder.inside, uid, {})
    folder.forget_private("owners")


# --8<-- [start:call]
async def _call(*words: str, env: Mapping[str, str] | None = None) -> str:
    """Return what the program prints; what it complains of becomes an error of ccnb's."""
    done = await asyncio.to_thread(_run, *words, env=env)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineError(f"{_program()} {words[0]} failed ({said}); see that `{_program()} ps` works")
    return done.stdout.decode().strip()


def _run(
    *words: str, env: Mapping[str, str] | None = None, together: bool = False
) -> subprocess.CompletedProcess[Any]:
    errors = subprocess.STDOUT if together else subprocess.PIPE
    program = shutil.which(_program())
    if program is None:
        raise EngineError(f"{_program()} isn't installed; name another by BYHAND_PROGRAM")
    return subprocess.run(
        [program, *words],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        check=False,
    )


def _program() -> str:
    return os.environ.get("BYHAND_PROGRAM", "docker")


# --8<-- [end:call]
