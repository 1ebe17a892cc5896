"""Mode `sandbox`: a microVM of Docker's, by `sbx` or by Docker Desktop's `docker sandbox`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from ccnb.errors import EngineError, ModeUnavailableError
from ccnb.mode import _files
from ccnb.mode import _sandbox_lasting as lasting
from ccnb.mode import _sandbox_network as closed
from ccnb.mode import _sandbox_place as places
from ccnb.mode._sandbox_choice import chosen
from ccnb.mode._sandbox_folder import LastingFolder
from ccnb.mode.base import Exit, Image, Layout, Place, PlaceState, Plan, Readiness, Say
from ccnb.spec import RunSpec
from ccnb.store import RunFolder

_RANK = 60


class SandboxMode:
    """A place is a virtual machine that sees the workspace and the run folder at their own paths."""

    name = "sandbox"
    takes_archives = False
    auths = ("host", "gateway", "env")

    async def probe(self) -> Readiness:
        """Say which of the programs is here, whether it works, and what a person has to do once."""
        return await asyncio.to_thread(_probe)

    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """See that sandboxes can be made.

        Raises
        ------
        ModeUnavailableError
        """
        return await asyncio.to_thread(_prepare, spec)

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return the paths, which are the same as here, though not by way of a link."""
        inside = LastingFolder.of(folder, image.lasting).folder if image.lasting else folder.inside
        return Layout(str(inside.resolve()), str(workspace.resolve()), "")

    async def create(self, plan: Plan) -> Place:
        """Make a fresh sandbox, or take one that lasts; it runs at once, though nothing in it."""
        return await asyncio.to_thread(places.create, plan)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the supervisor in it."""
        await asyncio.to_thread(places.start, place, plan)
        return place

    def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Follow a file of the run folder, which both sides see."""
        return _files.follow(folder, name, offset)

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder."""
        folder.touch_inside(name)

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the sandbox."""
        program, workspace = places.program_of(place), place.details["workspace"]
        said = await asyncio.to_thread(program.exec, place.id, argv, workspace, merged=True)
        return Exit(said.code, said.output)

    def shell(self, place: Place) -> list[str]:
        """Return the program's own command for a shell."""
        return places.program_of(place).shell(place.id, ["bash"], place.details["workspace"])

    async def state(self, place: Place) -> PlaceState:
        """Ask the program, and where its word may be out of date, the supervisor itself."""
        return await asyncio.to_thread(places.state, place)

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> Mapping[str, str]:
        """Take what the proxy has written down, where it was to hold a list; the files lie here already."""
        return await asyncio.to_thread(_take_log, place, folder) if place.details.get("closed") else {}

    async def destroy(self, place: Place) -> None:
        """Stop the sandbox, which ends all in it, and remove it, unless it lasts."""
        await asyncio.to_thread(places.remove, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the sandboxes of a store's runs, found by their names: they have no labels."""
        return await asyncio.to_thread(places.of_runs, store_id)

    async def lasting(self, store_id: str, home: Path) -> list[Place]:
        """Return the lasting sandboxes of a store, each with the run that has it now, if any."""
        return await asyncio.to_thread(lasting.that_last, store_id, home)

    async def forget(self, place: Place, home: Path) -> None:
        """Remove a lasting sandbox for good."""
        await asyncio.to_thread(lasting.forget, place, home)


def _probe() -> Readiness:
    facts = {
        "where": "a virtual machine of this machine",
        "isolation": "microVM (a kernel of its own)",
        "auth": "added by Docker's proxy; nothing enters the sandbox",
        "workspace": "the same path, mounted",
        "state": "removed after the run, or lasting under a name",
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


def _take_log(place: Place, folder: RunFolder) -> dict[str, str]:
    try:
        output = places.program_of(place).requests(place.id)
    except EngineError as error:
        return {"network_unread": error.message}
    unread = closed.write_log(folder.path, output, place.id, place.details["gateway"])
    return {"network_unread": unread} if unread else {}


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
        api_by_tcp=("127.0.0.1", places.HOST),
        holds_network=True,
        injects=injects,
        lasting=spec.sandbox or "",
    )
