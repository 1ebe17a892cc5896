"""Find and remove what earlier runs left behind."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from ccnb import _loop
from ccnb import mode as modes
from ccnb.errors import CcnbError, RunNotFoundError
from ccnb.mode.base import Mode, Place
from ccnb.runner import plan as plans
from ccnb.store import FollowerLock, RunRow, Store


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
    attached to, and is within its lifetime. What doesn't carry this store's label is never looked at.

    Parameters
    ----------
    older_than_s
        Take runs that began longer ago than this for beyond their lifetime.
    """
    return _loop.submit(_sweep(Store(), older_than_s)).result()


async def _sweep(store: Store, older_than_s: float | None) -> list[Swept]:
    found: list[Swept] = []
    for name in modes.names():
        mode = modes.get(name)
        if not (await mode.probe()).ready:
            continue
        places = await mode.places(plans.store_id(store))
        found += [await _sweep_one(store, mode, place, older_than_s) for place in places]
    return found


async def _sweep_one(store: Store, mode: Mode, place: Place, older_than_s: float | None) -> Swept:
    folder = store.folder(place.run_id)
    lock = FollowerLock(folder)
    if lock.held_elsewhere:
        return Swept(place.run_id, mode.name, False, "a living process follows the run")
    try:
        row = store.run(place.run_id)
    except RunNotFoundError:
        row = None
    why = _needed(row, older_than_s)
    if why:
        return Swept(place.run_id, mode.name, False, why)
    try:
        await mode.destroy(place)
    except CcnbError as error:
        return Swept(place.run_id, mode.name, False, error.message)
    if row is not None:
        store.set_place_removed(place.run_id)
        await asyncio.to_thread(folder.forget_private, "secrets")
    return Swept(place.run_id, mode.name, True, "no run needs it")


def _needed(row: RunRow | None, older_than_s: float | None) -> str:
    """Return why a place must stay; empty when it may go."""
    if row is None:
        return ""
    age_s = time.time() - row.created_at.timestamp()
    if older_than_s is not None and age_s > older_than_s:
        return ""
    if row.record is not None:
        since_end_s = time.time() - (row.ended_at or row.created_at).timestamp()
        return "it was kept on request" if row.spec.keep and since_end_s < row.spec.keep_s else ""
    return "its run can be attached to" if age_s < plans.lifetime_s(row.spec) else ""
