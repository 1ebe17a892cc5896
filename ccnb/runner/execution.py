"""One run from wherever it stands to its result: the same path for a new run and an attached one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ccnb import _loop
from ccnb import mode as modes
from ccnb.errors import (
    CcnbError,
    NotSharedError,
    OutOfReachError,
    PlaceLostError,
    StartError,
    StoreError,
)
from ccnb.events import Event
from ccnb.mode.base import Place
from ccnb.redact import Redactor
from ccnb.results import ErrorInfo, RunRecord
from ccnb.runner import calls
from ccnb.runner import model as models
from ccnb.runner import workspace as workspaces
from ccnb.runner.follow import Follower, OnEvent
from ccnb.runner.handles import Run, RunResult
from ccnb.runner.outcome import judge
from ccnb.runner.placing import Placing
from ccnb.runner.record import Recorder
from ccnb.runner.steps import Step, last_step
from ccnb.store import Store

_SERVE_EVERY_S = 3.0
_STATES = {"started": "running", "agent": "checking", "check": "collecting"}
_active = 0
"""How many runs this process follows at once: counted on the background loop alone."""


class Execution:
    """Drives one run. Whatever it needs to go on after a crash is in the store before it is used."""

    def __init__(self, run: Run, store: Store, on_event: OnEvent | None, say: Callable[[str], None]) -> None:
        row = store.run(run.run_id)
        self._run = run
        self._store = store
        self._spec = row.spec
        self._folder = row.folder
        self._progress = row.progress
        self._mode = modes.get(row.mode)
        self._on_event = on_event
        self._follower: Follower | None = None
        self._removal: asyncio.Task[None] | None = None
        self._workspace = workspaces.location(self._folder, self._spec.workspace, copy=self._spec.copy)
        self._recorder = Recorder(run.run_id, row.spec, row.folder, self._workspace, row.progress)
        self._placing = Placing(
            run_id=run.run_id,
            store=store,
            spec=row.spec,
            folder=row.folder,
            progress=row.progress,
            mode=self._mode,
            workspace=self._workspace,
            save=self._save,
            say=say,
            warn=self._recorder.warn,
            hidden=self._folder.read_private("secrets") or {},
        )
        self._recorder.redactor = Redactor(self._placing.hidden.values())
        self._looking = row.progress.attempted
        """Whether an earlier process may have made a place that has not been found yet."""
        self._progress.mark("begin")

    async def drive(self) -> RunResult:
        """Do what is left to do and return the result; on failure leave nothing behind.

        Raises
        ------
        CcnbError
            The infrastructure failed; the run is in the store with the outcome `infrastructure`. After a
            `StoreError`, and where a place is out of reach, everything is left as it is, so that it can be
            attached to.
        """
        work = asyncio.create_task(self._work())
        cancel = asyncio.create_task(self._pass_cancel_on(work))
        self._recorder.concurrency = _count(1)
        try:
            return await work
        except asyncio.CancelledError:
            return await self._give_up("cancelled", ErrorInfo("cancelled", "the run was cancelled"))
        except StoreError:
            raise
        except PlaceLostError as error:
            return await self._give_up("lost", ErrorInfo("place_lost", error.message))
        except Exception as error:
            if _loop.is_ending():
                # It is our own end that failed it; whoever attaches finds all as it is.
                raise
            away = isinstance(error, OutOfReachError) and self._progress.attempted
            if away or (self._looking and isinstance(error, CcnbError)):
                # What the run did may lie there complete: a later attach finds it.
                raise
            await self._give_up("infrastructure", ErrorInfo(type(error).__name__, str(error)))
            raise
        finally:
            _count(-1)
            cancel.cancel()

    async def drive_out(self) -> None:
        """Do the same, and wait until the place is removed. A place that is to be kept stays.

        Raises
        ------
        CcnbError
        """
        await self.drive()
        if self._removal is not None:
            await self._removal

    async def _work(self) -> RunResult:
        place = await self._placing.find()
        self._looking = False
        place = place or await self._placing.make()
        try:
            return await self._follow(place)
        except NotSharedError:
            await self._placing.remove(place)
            return await self._follow(await self._placing.make_by_archive())

    async def _pass_cancel_on(self, work: asyncio.Task[RunResult]) -> None:
        """Pass the wish for an end on: to the place when it runs, else to what we are doing."""
        await self._run._cancel_wanted.wait()
        while not work.done():
            if self._follower is not None and "started" in self._follower.steps:
                await self._follower.stop("cancelled")
                return
            if self._follower is None and self._store.place(self._run.run_id) is None:
                work.cancel()
                return
            # There is a place, and soon somebody who can tell how far the agent got in it.
            await asyncio.sleep(0.05)

    # While it runs

    async def _follow(self, place: Place) -> RunResult:
        # One who attaches may find the gateway gone with a machine's restart; and it may die at any time.
        await self._serve()
        serving = asyncio.create_task(self._keep_serving())
        try:
            return await self._follow_to_its_end(place)
        finally:
            serving.cancel()

    async def _keep_serving(self) -> None:
        """See now and then that the gateway is there: the agent asks again for a few minutes."""
        while models.needs_gateway(self._spec):
            await asyncio.sleep(_SERVE_EVERY_S)
            await self._serve()

    async def _serve(self) -> None:
        try:
            await asyncio.to_thread(models.serve, self._spec, self._run.run_id, self._store)
        except CcnbError as failure:
            self._recorder.warn(f"the gateway doesn't serve: {failure}")

    async def _follow_to_its_end(self, place: Place) -> RunResult:
        self._recorder.redactor = redactor = Redactor(self._placing.hidden.values())
        self._progress.conditions |= place.conditions
        make = partial(
            Follower,
            run_id=self._run.run_id,
            store=self._store,
            mode=self._mode,
            place=place,
            progress=self._progress,
            redactor=redactor,
            timeout_s=self._spec.timeout_s,
            stall_s=self._spec.stall_s,
            last_step=last_step(self._spec),
            on_event=self._took_event,
            on_step=self._took_step,
            on_look=self._show_health,
            is_watched=lambda: self._run._is_watched or self._on_event is not None,
        )
        # It goes through the events that are there already: there may be very many.
        self._follower = follower = await asyncio.to_thread(make)
        await follower.follow()
        self._check_came_up(follower)
        return await self._collect(place, follower)

    def _check_came_up(self, follower: Follower) -> None:
        """See that the supervisor ran, in the folders that are the caller's.

        Raises
        ------
        NotSharedError
            The engine has mounted folders of the same names from another machine.
        PlaceLostError
        StartError
        """
        if "relay" in follower.steps and "started" not in follower.steps:
            raise StartError(
                "neither the claude program nor node could start the relay to the egress proxy in this image "
                f"({self._recorder.last_line('relay.err')}); use an image with node, or network='open'"
            )
        workspace = follower.steps.done.get("workspace")
        if workspace is not None and workspace.reason == "readonly":
            raise StartError(f"the agent can't write in {self._workspace}; change its permissions")
        if follower.steps.done and workspace is None:
            return
        if self._mode.takes_archives and not self._progress.archive:
            raise NotSharedError("the engine can't see this machine's folders")
        gone = follower.gone
        if gone is not None and gone.status == "gone" and not gone.code:
            # It had its time, and went well: nobody came while it waited.
            raise PlaceLostError(
                f"the place of run {self._run.run_id} was removed before anybody fetched its results: "
                f"{gone.detail}; run it again"
            )
        detail = gone.detail if gone else ""
        raise StartError(f"the supervisor did not come up {detail}; run `ccnb doctor`")

    def _show_health(self) -> None:
        if self._follower is not None:
            self._run._set(health=self._follower.health)

    def _took_event(self, event: Event) -> None:
        self._show_health()
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - the caller's own function must not end the run
            self._recorder.warn(f"on_event raised {type(error).__name__} ({error}) and got no more events")
            self._on_event = None

    def _took_step(self, step: Step) -> None:
        self._progress.marks.setdefault("start" if step.name == "started" else step.name, step.at)
        # The silence of an agent that has ended is not its check's.
        self._show_health()
        if step.name in _STATES:
            self._save(_STATES[step.name])

    # The end

    async def _collect(self, place: Place, follower: Follower) -> RunResult:
        self._save("collecting")
        fetched = await self._fetch(place)
        files = await asyncio.to_thread(self._recorder.look_at_files, follower)
        self._recorder.calls = await asyncio.to_thread(calls.read, self._folder)
        ending = self._recorder.ending(follower, fetched=fetched)
        outcome, error = judge(follower.tally, ending)
        record = self._recorder.record(outcome, error, follower=follower, ending=ending, files=files)
        result = self._keep(record)
        if not self._spec.keep:
            self._removal = _loop.leave_behind(self._clean_up(place, record))
        return result

    async def _fetch(self, place: Place) -> bool:
        """Bring the run's files back; return whether that could be done.

        Raises
        ------
        OutOfReachError
        """
        try:
            self._recorder.note(await self._mode.files_out(place, self._folder, self._workspace))
        except OutOfReachError:
            raise
        except CcnbError as failure:
            self._recorder.warn(f"the files could not be brought back: {failure}")
            return False
        return True

    def _keep(self, record: RunRecord) -> RunResult:
        self._store.finish(record, self._progress, self._recorder.calls)
        models.close_access(self._spec, record.run_id, self._store)
        self._folder.forget_private("secrets")
        self._run._set(state="done")
        return RunResult.of(record, self._store.home)

    async def _clean_up(self, place: Place, record: RunRecord) -> None:
        """Remove the place, behind the result. What fails is left to `sweep`."""
        begun = time.monotonic()
        is_gone = await self._placing.destroy(place)
        record = replace(record, warnings=tuple(self._progress.warnings))
        took = replace(record.timings, cleanup_s=time.monotonic() - begun)
        self._store.update_record(replace(record, timings=took))
        if is_gone:
            # Last: who sees that the place is gone finds how long that took.
            self._store.set_place_removed(record.run_id)

    async def _give_up(self, outcome: str, error: ErrorInfo) -> RunResult:
        """End a run that can't go on: bring home what there is, remove the place, write it down."""
        # Whatever else fails now is not what the caller should hear of.
        with suppress(Exception):
            place = await self._placing.find()
            if place is not None:
                with suppress(Exception):
                    self._recorder.note(await self._mode.files_out(place, self._folder, self._workspace))
                await self._placing.remove(place)
        with suppress(OSError):
            (self._workspace / workspaces.SENTINEL).unlink(missing_ok=True)
        self._recorder.calls = calls.read(self._folder)
        return self._keep(self._recorder.record(outcome, error, follower=self._follower))

    def _save(self, state: str) -> None:
        self._store.set_state(self._run.run_id, state, self._progress)
        self._run._set(state=state)


def _count(change: int) -> int:
    global _active  # noqa: PLW0603 - the one count of the process
    _active += change
    return _active


# A forked process follows none of its parent's.
os.register_at_fork(after_in_child=lambda: _count(-_active))
