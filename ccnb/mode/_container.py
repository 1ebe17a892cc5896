"""Runs in a container: what Docker and Podman have in common, which is nearly all."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ccnb import engine
from ccnb.engine import Engine, bind, bound
from ccnb.errors import CcnbError, EngineError, NotSharedError
from ccnb.mode import _archive, _container_image, _files
from ccnb.mode.base import (
    AGENT_UID,
    LABEL_PLACE,
    LABEL_RUN,
    LABEL_STORE,
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
PROGRAM_FOLDER = "/opt/ccnb"
DEFAULT_MEMORY_MB = 4096
_IN_WORKSPACE = 'cd "$0"; '
_FILES_LIMIT = 20_000
_PROCESSES_ULIMIT = 4096


class ContainerMode:
    """A place is a container: no privileges, limits, an init, our labels, folders mounted."""

    name = "container"
    takes_archives = True
    auths = ("env", "gateway")
    rank = 0
    isolation = "container (shared kernel)"

    async def probe(self) -> Readiness:
        """Say whether an engine answers."""
        try:
            engine = await self._engine()
        except CcnbError as error:
            what, _, action = error.message.rpartition("; ")
            return Readiness(
                self.name, False, why=what, next_action=action, rank=self.rank, facts=self.facts()
            )
        notes = [f"the engine ignores the limit on {name}" for name in engine.ignored_limits]
        return Readiness(
            self.name,
            True,
            version=f"{engine.version}{' rootless' if engine.rootless else ''}",
            # A rootless engine's containers can't be root on this machine, whatever they break out of.
            rank=self.rank + (5 if engine.rootless else 0),
            remote=engine.endpoint.remote,
            facts=self.facts(engine),
            notes=tuple(notes),
        )

    def facts(self, engine: Engine | None = None) -> dict[str, str]:
        """Return the mode's row in the comparison of modes."""
        where = f"{engine.endpoint.origin}, {engine.endpoint.url}" if engine else f"local {self.name} engine"
        return {
            "where": where,
            "isolation": self.isolation,
            "auth": "environment variable of the place",
            "workspace": "mounted at /workspace",
            "state": "removed after the run",
            "cost": "free",
            "platform": "Linux, macOS, Windows (WSL2)",
        }

    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """Find the image; build the project's own, pull any other."""
        engine = await self._engine()
        return await asyncio.to_thread(_container_image.prepare, engine, spec, say)

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return the paths in a container: always the same."""
        return LAYOUT

    async def create(self, plan: Plan) -> Place:
        """Make the container; give it the folders."""
        engine = await self._engine()
        return await asyncio.to_thread(_create, engine, plan)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the container, with its supervisor."""
        engine = await self._engine(place)
        if plan.archive:
            await asyncio.to_thread(_archive.put, engine, place, plan)
        await asyncio.to_thread(engine.start, place.id)
        return place

    async def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Follow a file where it is mounted, else through an exec."""
        source = _files.follow(folder, name, offset)
        if place.details["archive"]:
            source = _archive.follow(await self._engine(place), place, f"{LAYOUT.inside}/{name}", offset)
        async for chunk in source:
            yield chunk

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder."""
        if place.details["archive"]:
            await self.exec(place, ["touch", f"{LAYOUT.inside}/{name}"])
        else:
            folder.touch_inside(name)

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the container as the agent's user."""
        engine = await self._engine(place)
        command = ["sh", "-c", _IN_WORKSPACE + 'exec "$@"', LAYOUT.workspace, *argv]
        code, output = await asyncio.to_thread(engine.exec, place.id, command, place.details["user"])
        return Exit(code, output)

    def shell(self, place: Place) -> list[str]:
        """Return the engine's own command for a shell."""
        program, url = self.name, place.details["url"]
        where = {"docker": ["-H", url], "podman": ["--url", url]}[program]
        inner = ["exec", "-it", "--user", place.details["user"], place.id, "sh", "-c"]
        script = _IN_WORKSPACE + "command -v bash >/dev/null && exec bash || exec sh"
        return [program, *where, *inner, script, LAYOUT.workspace]

    async def state(self, place: Place) -> PlaceState:
        """Ask the engine how the container is."""
        engine = await self._engine(place)
        found = await asyncio.to_thread(engine.inspect, place.id)
        if found is None:
            return PlaceState("gone", detail="the engine has no such container")
        state = found["State"]
        if state.get("Running") or state.get("Paused") or state.get("Restarting"):
            return PlaceState("alive")
        if state.get("Status") in ("created", "initialized", "configured"):
            return PlaceState("created")
        return PlaceState(
            "ended",
            code=state.get("ExitCode"),
            out_of_memory=bool(state.get("OOMKilled")),
            detail=str(state.get("Error") or ""),
        )

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> None:
        """Bring files back from a place that had no mounts; take back what was lent."""
        if place.details["archive"]:
            engine = await self._engine(place)
            await asyncio.to_thread(_archive.get, engine, place, folder, workspace)
        elif not place.details["keep"]:
            await asyncio.to_thread(_take_back, place)

    async def destroy(self, place: Place) -> None:
        """Kill and remove the container."""
        engine = await self._engine(place)
        await asyncio.to_thread(engine.remove, place.id)
        await asyncio.to_thread(_take_back, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the containers that carry a store's label."""
        engine = await self._engine()
        return await asyncio.to_thread(_places, engine, store_id)

    async def _engine(self, place: Place | None = None) -> Engine:
        """Return the engine: for a place that is there, the one that has it."""
        url = place.details["url"] if place else None
        return await asyncio.to_thread(_connect, self.name, url)


_connections: dict[tuple[str | None, ...], Engine] = {}
# A forked process must not speak by its parent's.
os.register_at_fork(after_in_child=_connections.clear)


def _connect(kind: str, url: str | None) -> Engine:
    """Return an engine that this process has talked to before, or look for one.

    A person who points a variable at another engine means the next run.
    """
    names = ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST")
    key = (kind, url) if url else (kind, *map(os.environ.get, names))
    if key not in _connections:
        _connections[key] = engine.connect(kind, url)
    return _connections[key]


def _places(engine: Engine, store_id: str) -> list[Place]:
    found = engine.list([f"{LABEL_STORE}={store_id}"])
    runs = [Place(c["Labels"][LABEL_RUN], c["Id"], json.loads(c["Labels"][LABEL_PLACE])) for c in found]
    details = {"url": engine.endpoint.url, "lent": False, "folder": ""}
    copies = _container_image.left_copies(engine, store_id)
    return runs + [Place("copy-of-claude", container, details) for container in copies]


def _create(engine: Engine, plan: Plan) -> Place:
    who = engine.identity(AGENT_UID)
    details: dict[str, Any] = {
        "url": engine.endpoint.url,
        "user": f"{who.uid}:{who.gid}",
        "uid": who.uid,
        "lent": who.lent and not plan.archive,
        "archive": plan.archive,
        "keep": plan.spec.keep,
        "folder": str(plan.folder.path),
        "workspace": str(plan.workspace),
    }
    if details["lent"]:
        plan.folder.write_private("owners", _files.owners(plan.workspace, who.uid))
        _files.lend(plan.workspace, who.uid)
        _files.lend(plan.folder.inside, who.uid)
    labels = {
        LABEL_RUN: plan.run_id,
        LABEL_STORE: plan.store_id,
        # Whoever finds the container when its maker died between two steps reads the rest here.
        LABEL_PLACE: json.dumps(details),
    }
    body = {
        "entrypoint": ["sh"],
        "command": list(plan.command),
        "environment": _environment(plan, who.uid),
        "labels": labels,
        "user": details["user"],
        # The supervisor goes to the workspace by itself and says so if it can't.
        "working_dir": "/",
    }
    try:
        more = {"UsernsMode": who.user_namespace} if who.user_namespace else {}
        name = f"ccnb-{plan.run_id}"
        container = engine.create(name, plan.image.reference, body, _host_config(engine, plan), more)
    except EngineError as error:
        if _says_not_shared(error.message):
            raise NotSharedError(error.message) from None
        raise
    return Place(plan.run_id, container, details)


def _environment(plan: Plan, uid: int) -> list[str]:
    env = dict(plan.env)
    if uid == 0:
        # In a rootless engine's own namespace, where root is the caller; the agent can't tell.
        env["IS_SANDBOX"] = "1"
    if plan.image.mount_program:
        # At the end: an image that has its own claude keeps it.
        env.setdefault("PATH", f"{plan.image.path or os.defpath}:{PROGRAM_FOLDER}")
    return [f"{name}={value}" for name, value in env.items()]


def _host_config(engine: Engine, plan: Plan) -> dict[str, Any]:
    spec = plan.spec
    memory = f"{spec.memory_mb or DEFAULT_MEMORY_MB}m"
    cpus = min(spec.cpus, engine.info.get("NCPU") or spec.cpus) if spec.cpus else None
    limits: dict[str, dict[str, Any]] = {
        "memory": {"mem_limit": memory, "memswap_limit": memory},
        "cpus": {"nano_cpus": int(cpus * 1e9)} if cpus else {},
        "processes": {"pids_limit": spec.max_processes},
    }
    ulimits = [bound("nofile", _FILES_LIMIT)]
    if engine.is_podman:
        # Podman passes its own hard limit on, which an engine without privileges may not set. Docker
        # sets none, and there the count would include all other processes of the caller.
        ulimits.append(bound("nproc", _PROCESSES_ULIMIT))
    host: dict[str, Any] = {
        "mounts": _mounts(plan),
        "network_mode": "bridge" if spec.network == "open" else "none",
        "cap_drop": ["ALL"],
        # Relabelling would change the caller's own files, so on SELinux hosts the label goes off.
        "security_opt": ["no-new-privileges"] + (["label=disable"] if engine.selinux else []),
        "init": True,
        "ulimits": ulimits,
    }
    for name, values in limits.items():
        if name not in engine.ignored_limits:
            host |= values
    return host


def _mounts(plan: Plan) -> list[Any]:
    mounts = []
    if not plan.archive:
        mounts.append(bind(LAYOUT.inside, plan.folder.inside))
        mounts.append(bind(LAYOUT.workspace, plan.workspace))
    if plan.image.mount_program:
        target = f"{PROGRAM_FOLDER}/claude"
        mounts.append(bind(target, plan.image.mount_program, read_only=True))
    if plan.api_folder:
        target = str(Path(LAYOUT.api_socket).parent)
        mounts.append(bind(target, plan.api_folder, read_only=True))
    return mounts


def _says_not_shared(message: str) -> bool:
    signs = ("bind source path does not exist", "mounts denied", "is not shared", "statfs")
    return any(sign in message for sign in signs)


def _take_back(place: Place) -> None:
    """Give what the agent made, and what was lent to it, to the caller; once only.

    The next run may have the workspace by the time that the place is removed.
    """
    details = place.details
    folder = RunFolder(Path(details["folder"]))
    owners = folder.read_private("owners") if details["lent"] else None
    if owners is None:
        return
    _files.reclaim(Path(details["workspace"]), details["uid"], owners)
    _files.reclaim(folder.inside, details["uid"], {})
    folder.forget_private("owners")
