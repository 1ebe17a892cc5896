"""This project as a client."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import wire

import ccnb
from bench import frames as made
from ccnb import mode as modes
from ccnb.engine import connect
from ccnb.events import Event
from ccnb.mode.base import LABEL_STORE, Place
from ccnb.runner.plan import store_id
from ccnb.store import Store

DOUBLE = "init; say ready; while [ ! -e /ccnb/stop ]; do sleep 1; done"


def task(**options: Any) -> dict[str, float]:
    """Return when the first event, the result event, the result and the end came, in seconds."""
    taken: dict[str, float] = {}

    def on_event(event: Event) -> None:
        at = time.perf_counter() - begun
        taken.setdefault("first_s", at)
        if event.type == "result":
            taken["result_s"] = at

    with tempfile.TemporaryDirectory(prefix="ours-", ignore_cleanup_errors=True) as workspace:
        begun = time.perf_counter()
        ccnb.run(workspace=workspace, on_event=on_event, **options).raise_for_error()
        taken["returned_s"] = time.perf_counter() - begun
        taken["gone_s"] = _gone(options["mode"]) - begun
    return taken


def ticks(**options: Any) -> dict[str, Any]:
    """Return for each event that says when it was written how long it took to `on_event`."""
    delays = []

    def on_event(event: Event) -> None:
        if event.subtype == "tick":
            delays.append((time.time() - event.raw["t"]) * 1000)

    ccnb.run(on_event=on_event, **options).raise_for_error()
    _gone(options["mode"])
    return {"delays_ms": delays}


def many(runs: int, events: int, **options: Any) -> dict[str, float]:
    """Return the time until so many runs, begun at once, have given their results."""
    begun = time.perf_counter()
    handles = [ccnb.start(**options) for _ in range(runs)]
    results = [handle.result().raise_for_error() for handle in handles]
    took_s = time.perf_counter() - begun
    counts = [len(result.events) for result in results]
    if counts != [events] * runs:
        raise ValueError(f"{counts} events came, not {events} each")
    _gone(options["mode"])
    return {"took_s": took_s}


def flood(lines: int, **options: Any) -> dict[str, float]:
    """Return how fast numbered lines came to `on_event`, each stored, and the peak of the memory."""
    seen = {"count": 0, "first": 0.0, "last": 0.0}

    def on_event(event: Event) -> None:
        if "n" in event.raw:
            if event.raw["n"] != seen["count"]:
                raise ValueError(f"line {event.raw['n']} came where {seen['count']} was due")
            seen["count"] += 1
            seen["last"] = time.perf_counter()
            seen["first"] = seen["first"] or seen["last"]

    wire.forget_peak()
    result = ccnb.run(on_event=on_event, **options).raise_for_error()
    peak_mb = wire.peak_mb()
    kept = sum(1 for event in result.events if "n" in event.raw)
    if (seen["count"], kept) != (lines, lines):
        raise ValueError(f"{seen['count']} lines came and {kept} were kept, not {lines}")
    _gone(options["mode"])
    return {"lines_per_s": (lines - 1) / (seen["last"] - seen["first"]), "peak_mb": peak_mb}


def execs(command: str, times: int, **options: Any) -> dict[str, Any]:
    """Return how long each of some commands took in the place of a run that goes on."""
    options["env"] = {"AGENT": DOUBLE}
    handle = ccnb.start(**options)
    next(iter(handle))
    stored = Store().place(handle.run_id)
    assert stored is not None
    place, took = Place.from_dict(stored), []
    mode = modes.get(options["mode"])

    async def look() -> None:
        begun = time.perf_counter()
        done = await mode.exec(place, ["sh", "-c", command])
        took.append((time.perf_counter() - begun) * 1000)
        if done.code:
            raise RuntimeError(f"{command!r} ended with {done.code}")

    for _ in range(times):
        asyncio.run(look())
    handle.cancel()
    handle.result()
    _gone(options["mode"])
    return {"took_ms": took}


def frames(runs: int, events: int) -> dict[str, Any]:
    """Return how long frames of runs and of their events took, from a store that holds just these."""
    store = Store()
    if len(ccnb.runs(limit=runs)) < runs:
        (store.home / "runs").mkdir(exist_ok=True)
        for number in range(runs):
            record = made.add_run(store, number)
            made.add_events(store, record.run_id, events)
    begun = time.perf_counter()
    runs_frame = ccnb.frames.runs_frame()
    between = time.perf_counter()
    events_frame = ccnb.frames.events_frame()
    done = time.perf_counter()
    if (len(runs_frame), len(events_frame)) != (runs, runs * events):
        raise ValueError(f"the frames have {len(runs_frame)} and {len(events_frame)} rows")
    return {
        "runs_ms": (between - begun) * 1000,
        "events_ms": (done - between) * 1000,
        "columns": [len(runs_frame.columns), len(events_frame.columns)],
    }


def _gone(mode: str) -> float:
    """Return when no place of the store was left."""
    while mode != "local" and connect(mode).list([f"{LABEL_STORE}={store_id(Store())}"]):
        time.sleep(0.005)
    return time.perf_counter()


if __name__ == "__main__":
    Path(Store().home).mkdir(parents=True, exist_ok=True)
    wire.serve(task, ticks, many, flood, execs, frames)
