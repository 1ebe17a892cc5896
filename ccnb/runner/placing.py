"""The place of one run: found where an earlier process made it, else made; and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ccnb.errors import CcnbError, NotSharedError, PlaceLostError
from ccnb.mode.base import Image, Mode, Place, Plan
from ccnb.redact import Secret
from ccnb.runner import model as models
from ccnb.runner import plan as plans
from ccnb.runner import workspace as workspaces
from ccnb.runner.conversation import carry_over, wait_for_removal
from ccnb.runner.follow import HEARTBEAT_LIMIT_S
from ccnb.runner.planted import watched_state
from ccnb.runner.record import tail
from ccnb.runner.steps import Steps, last_step
from ccnb.spec import RunSpec
from ccnb.store import Progress, RunFolder, Store

T = TypeVar("T")

_REMOVAL_PAUSES_S = (0.3, 1.0)
_ALL_STEPS = 65_536
"""Bytes that hold all that a supervisor notes."""


@dataclass
class Placing:
    """Finds the place of one run or makes it, each step written down before the next is taken."""

    run_id: str
    store: Store
    spec: RunSpec
    folder: RunFolder
    progress: Progress
    mode: Mode
    workspace: Path
    save: Callable[[str], None]
    """Writes a state of the run down."""
    say: Callable[[str], None]
    warn: Callable[[str], None]
    hidden: dict[str, str]
    """The run's secrets by the names of their variables; those of its access to the model are added."""

    async def find(self) -> Place | None:
        """Return the running place that an earlier process made for this run, if it got that far."""
        stored = self.store.place(self.run_id)
        place = Place.from_dict(stored) if stored else None
        if place is None and self.progress.attempted:
            for other in await self.mode.places(plans.store_id(self.store)):
                if other.run_id == self.run_id:
                    place = other
        if place is not None and await self._status(place) == "created":
            # Its maker died before it was started: nothing has happened in it.
            await self.mode.destroy(place)
            return None
        if place is None and self.progress.attempted and self.folder.has_begun:
            raise PlaceLostError(f"the place of run {self.run_id} was removed; run it again")
        return place

    async def _status(self, place: Place) -> str:
        """Return the place's status by the engine's word; where the engine is away, the run folder's.

        Raises
        ------
        CcnbError
            The engine is away, and the folder doesn't say enough.
        """
        try:
            return (await self.mode.state(place)).status
        except CcnbError:
            if self.progress.archive or not self._folder_tells():
                raise
        return "alive"

    def _folder_tells(self) -> bool:
        """Return whether the run folder has the run's end, or a supervisor writes to it now."""
        steps = Steps()
        steps.feed(tail(self.folder, "steps", _ALL_STEPS))
        return steps.are_over(last_step(self.spec)) or self.folder.heartbeat_age_s < HEARTBEAT_LIMIT_S

    async def make(self) -> Place:
        """Make the place and start it; keep the workspace's state meanwhile."""
        await wait_for_removal(self.spec, self.store)
        lay_out = partial(workspaces.make, self.folder, self.spec.workspace, copy=self.spec.copy)
        await _whole(asyncio.to_thread(lay_out))
        image = await self.mode.prepare(self.spec, self.say)
        self.progress.conditions |= {**image.conditions, "api_digest": models.source_digest(self.spec)}
        self.progress.warnings.extend(image.warnings)
        self.progress.archive |= image.archive
        self.progress.mark("image")
        plan = await _whole(asyncio.to_thread(self._plan, image))
        self.progress.attempted = True
        self.save("starting")
        serving = asyncio.to_thread(models.serve, self.spec, self.run_id, self.store)
        creating = asyncio.ensure_future(self._create(plan))
        await _all(serving, creating, asyncio.to_thread(self._keep_baseline))
        place = creating.result()
        if place is None:
            return await self.make_by_archive()
        self.progress.mark("create")
        place = await _whole(self.mode.start(place, plan))
        self.store.add_place(self.run_id, self.mode.name, place.to_dict())
        return place

    async def _create(self, plan: Plan) -> Place | None:
        """Make the place; `None` when it can't be made because it would not see our folders."""
        try:
            place = await self.mode.create(plan)
        except NotSharedError:
            if self.progress.archive:
                raise
            return None
        self.store.add_place(self.run_id, self.mode.name, place.to_dict())
        return place

    async def make_by_archive(self) -> Place:
        """Make the place so that files go in and out as archives."""
        self.progress.archive = True
        self.say("the engine can't see this machine's folders; files go in and out as archives")
        return await self.make()

    def _plan(self, image: Image) -> Plan:
        """Lay the run folder out. The secrets are kept, privately, for as long as the run lasts."""
        run_id = self.run_id
        spec = replace(self.spec, env=self._revealed())
        layout = self.mode.layout(self.folder, self.workspace, image)
        access = models.open_access(
            spec,
            run_id=run_id,
            store=self.store,
            layout=layout,
            image=image,
            archive=self.progress.archive,
            lifetime_s=plans.lifetime_s(spec),
        )
        self.hidden |= {name: secret.reveal() for name, secret in access.credential.items()} | access.hidden
        self.folder.write_private("secrets", self.hidden)
        relay = bool(spec.hosts) and access.socket_folder is not None
        plans.lay_out(self.folder, spec, self.workspace, relay=relay)
        carry_over(self.folder, spec)
        return plans.make_plan(
            run_id=run_id,
            store=self.store,
            spec=spec,
            mode=self.mode,
            image=image,
            workspace=self.workspace,
            access=access,
            archive=self.progress.archive,
        )

    def _revealed(self) -> dict[str, str | Secret]:
        """Return the spec's environment; a secret's value is not in the store but in its private file."""
        return {
            name: Secret(self.hidden[name]) if isinstance(value, Secret) else value
            for name, value in self.spec.env.items()
        }

    def _keep_baseline(self) -> None:
        if self.progress.baseline is None:
            self.folder.write_private("watched", watched_state(self.workspace))
            self.progress.baseline = workspaces.snapshot(self.folder, self.workspace)

    async def remove(self, place: Place) -> None:
        """Remove the place, and write that down."""
        if await self.destroy(place):
            self.store.set_place_removed(self.run_id)

    async def destroy(self, place: Place) -> bool:
        """Remove the place; return whether it is gone.

        Engines refuse now and then what they do a moment later.
        """
        for pause_s in (*_REMOVAL_PAUSES_S, None):
            try:
                await self.mode.destroy(place)
            except CcnbError as error:
                if pause_s is None:
                    self.warn(f"the place could not be removed ({error.message}); run `ccnb sweep`")
                    break
                await asyncio.sleep(pause_s)
            else:
                return True
        return False


async def _whole(work: Awaitable[T]) -> T:
    """Await something that must not be left half done; a cancellation is heard after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _all(*works: Awaitable[Any]) -> None:
    """Await several such things at once; the first failure is raised when all have ended."""
    for ended in await _whole(asyncio.gather(*works, return_exceptions=True)):
        if isinstance(ended, BaseException):
            raise ended
