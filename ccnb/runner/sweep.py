"""Find and remove what earlier runs left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ccnb import _loop
from ccnb import mode as modes
from ccnb.errors import CcnbError, OutOfReachError, RunBusyError, RunNotFoundError
from ccnb.gateway import registration
from ccnb.mode.base import Mode, Place
from ccnb.results import ErrorInfo, RunRecord
from ccnb.runner import plan as plans
from ccnb.runner.execution import Execution
from ccnb.runner.handles import Run
from ccnb.runner.steps import Steps, last_step
from ccnb.store import FollowerLock, RunRow, Store

_LOOK_LIMIT_S = 30.0
_FETCHED = "its results were fetched"


@dataclass(frozen=True)
class Swept:
    """What became of a place that was found."""

    run_id: str
    mode: str
    removed: bool
    why: str


def sweep(older_than_s: float | None = None) -> list[Swept]:
    """Remove the places of this store that no run needs any more; return all that were found.

    A place is left alone while a living process follows its run, and while its run is unfinished, can be
    attached to, and is within its lifetime. Where all that a run was to do is done and nobody has fetched it,
    it is brought home first. What doesn't carry this store's label is never looked at. A place that the store
    knows of but whose engine doesn't answer is named, with the engine's word. A run that is beyond its
    lifetime and has no place any more is ended as `lost`, and its secrets are forgotten.

    Parameters
    ----------
    older_than_s
        Take runs that began longer ago than this for beyond their lifetime.
    """
    return _loop.run(_sweep(Store(), older_than_s))


def remove_places(mode: str, places: Sequence[Place]) -> list[Swept]:
    """Remove places of this store, but for those whose run a living process follows.

    A run that was not finished is ended as `lost`, unless all of it was done and only had to be fetched.
    """

    async def remove() -> list[Swept]:
        store = Store()
        return [await _sweep_one(store, modes.get(mode), place, 0.0) for place in places]

    return _loop.run(remove())


async def _sweep(store: Store, older_than_s: float | None) -> list[Swept]:
    found: list[Swept] = []
    for name in modes.names():
        try:
            mode = modes.get(name)
            places = await mode.places(plans.store_id(store))
        except CcnbError:
            # A place of it that the store knows of is named below.
            continue
        found += [await _sweep_one(store, mode, place, older_than_s) for place in places]
    seen = {swept.run_id for swept in found}
    for row, place in store.places_left():
        if row.run_id not in seen:
            found += await _sweep_unlisted(store, row, Place.from_dict(place), older_than_s)
    for row in store.runs(finished=False):
        _end_without_place(store, row, older_than_s)
    return found


async def remove_left(store: Store, row: RunRow) -> None:
    """Remove the place of a finished run, if whoever finished it died before that was done."""
    place = store.place(row.run_id)
    if place is not None:
        # What fails is left to `sweep`.
        with suppress(CcnbError):
            await _sweep_one(store, modes.get(row.mode), Place.from_dict(place), None)


async def _sweep_unlisted(store: Store, row: RunRow, place: Place, older_than_s: float | None) -> list[Swept]:
    """Sweep a place that no listing had: it is gone, or its engine is another one or doesn't answer."""
    try:
        mode = modes.get(row.mode)
        if (await mode.state(place)).status != "gone":
            return [await _sweep_one(store, mode, place, older_than_s)]
        swept = await _sweep_one(store, mode, place, older_than_s)
    except CcnbError as error:
        return [Swept(row.run_id, row.mode, False, error.message)]
    # Of a place that was gone already only what came of it is told.
    return [swept] if swept.why == _FETCHED else []


def _end_without_place(store: Store, row: RunRow, older_than_s: float | None) -> None:
    if store.place(row.run_id) is None and not _needed(row, older_than_s):
        with suppress(RunBusyError), FollowerLock(row.folder):
            # Read again: whoever had the lock may have ended the run.
            _end(store, store.run(row.run_id))


async def _sweep_one(store: Store, mode: Mode, place: Place, older_than_s: float | None) -> Swept:
    try:
        row = store.run(place.run_id)
    except RunNotFoundError:
        return await _destroy(mode, place)
    try:
        with FollowerLock(row.folder):
            # Read again: whoever had the lock may have ended the run.
            return await _sweep_run(store, mode, place, store.run(place.run_id), older_than_s)
    except RunBusyError:
        return Swept(place.run_id, mode.name, False, "a living process follows the run")


async def _sweep_run(
    store: Store, mode: Mode, place: Place, row: RunRow, older_than_s: float | None
) -> Swept:
    why = _needed(row, older_than_s)
    if why:
        return Swept(place.run_id, mode.name, False, why)
    try:
        collected = row.record is None and await _collect(store, mode, place, row)
    except OutOfReachError as error:
        return Swept(place.run_id, mode.name, False, error.message)
    swept = await _destroy(mode, place)
    if swept.removed:
        store.set_place_removed(place.run_id)
        _end(store, store.run(place.run_id))
    return replace(swept, why=_FETCHED) if swept.removed and collected else swept


async def _collect(store: Store, mode: Mode, place: Place, row: RunRow) -> bool:
    """Bring home what a run has done, if it has come to its end; return whether that is so.

    Raises
    ------
    OutOfReachError
        That can't be seen, or not be fetched, now.
    """
    try:
        if not await _has_ended(mode, place, row):
            return False
        await Execution(Run(row.run_id, store), store, None, lambda _: None).drive_out()
    except OutOfReachError:
        raise
    except CcnbError:
        # Nothing more will ever come of it.
        return False
    return True


async def _has_ended(mode: Mode, place: Place, row: RunRow) -> bool:
    """Return whether a place has noted the end of all that its run was to do.

    Raises
    ------
    CcnbError
    """
    if (await mode.state(place)).status == "created":
        return False
    steps, last = Steps(), last_step(row.spec)
    # Places far away are asked often only while somebody waits.
    row.folder.note_watcher()
    try:
        async with asyncio.timeout(_LOOK_LIMIT_S):
            async for chunk in mode.read(place, row.folder, "steps", 0):
                steps.feed(chunk)
                if steps.are_over(last) or not chunk:
                    break
    except TimeoutError:
        raise OutOfReachError("its place doesn't say how far it is; try again") from None
    return steps.are_over(last)


async def _destroy(mode: Mode, place: Place) -> Swept:
    try:
        await mode.destroy(place)
    except CcnbError as error:
        return Swept(place.run_id, mode.name, False, error.message)
    return Swept(place.run_id, mode.name, True, "no run needs it")


def _end(store: Store, row: RunRow) -> None:
    """Write down the end of a run whose place was taken away, and forget its secrets."""
    if row.record is None:
        why = ErrorInfo(
            "place_lost", "the place was swept before anybody had collected the run", "run it again"
        )
        record = RunRecord(
            run_id=row.run_id,
            mode=row.mode,
            spec=row.spec,
            outcome="lost",
            started_at=row.created_at,
            error=why,
            warnings=tuple(row.progress.warnings),
            conditions=row.progress.conditions,
        )
        store.finish(record, row.progress)
    row.folder.forget_private("secrets")
    registration.unregister(store.home, row.run_id)


def _needed(row: RunRow, older_than_s: float | None) -> str:
    """Return why a place must stay; empty when it may go."""
    age_s = time.time() - row.created_at.timestamp()
    if older_than_s is not None and age_s > older_than_s:
        return ""
    if row.record is not None:
        since_end_s = time.time() - (row.ended_at or row.created_at).timestamp()
        return "it was kept on request" if row.spec.keep and since_end_s < row.spec.keep_s else ""
    return "its run can be attached to" if age_s < plans.lifetime_s(row.spec) else ""
