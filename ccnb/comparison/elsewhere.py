"""Rows that run in other processes, on other machines: their runs come home into one store."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ccnb.errors import CcnbError, RunNotFoundError
from ccnb.events import Event
from ccnb.results import ErrorInfo, RunRecord
from ccnb.runner import api
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store

_PIECE = 500


@dataclass(frozen=True)
class Parcel:
    """A finished run, to be sent: its record, its events and calls, its patch. The workspace stays."""

    record: dict[str, Any]
    events: list[tuple[str, str | None, float, int, str]]
    """Type, subtype, arrival, offset, and the message as JSON."""
    calls: list[dict[str, Any]]
    patch: str
    """In base64: a patch may hold any bytes."""
    home: str
    """Of the store in which it was run."""


def work(run_id: str, spec: dict[str, Any]) -> Parcel:
    """Run, or go on with, a run in the store of the process that this is called in.

    Raises
    ------
    CcnbError
        The infrastructure failed before there was anything to write down.
    """
    store = Store()
    try:
        store.run(run_id)
    except RunNotFoundError:
        progress = Progress(marks={"begin": time.time()})
        run = api.begin(run_id, RunSpec.from_dict(spec), store, progress)
    else:
        run = api.attach(run_id)
    with suppress(CcnbError):
        run.result()
    row = store.run(run_id)
    if row.record is None:
        run.result()
    return pack(store, run_id)


def pack(store: Store, run_id: str, *, clean: bool = False) -> Parcel:
    """Return a finished run as it can be sent; `clean`: with the patch in which no secret is left."""
    result = api.result_of(store.run(run_id))
    events = [
        (e.type, e.subtype, e.arrived_at.timestamp(), e.offset, json.dumps(e.raw)) for e in result.events
    ]
    file = result.folder.patch
    if clean and result.folder.clean_patch.exists():
        file = result.folder.clean_patch
    patch = file.read_bytes() if file.exists() else b""
    record = result.to_dict()
    return Parcel(record, events, result.calls, base64.b64encode(patch).decode(), str(store.home))


def unpack(store: Store, parcel: Parcel) -> RunRecord:
    """Put a run that came home into the store; one that is there already is left as it is."""
    record = RunRecord.from_dict(parcel.record)
    with suppress(RunNotFoundError):
        kept = store.run(record.run_id).record
        if kept is not None:
            return kept
    progress = Progress(marks={"begin": record.started_at.timestamp()}, conditions=dict(record.conditions))
    folder = store.folder(record.run_id)
    folder.make()
    folder.patch.write_bytes(base64.b64decode(parcel.patch))
    store.add_run(record.run_id, record.spec, progress)
    for start in range(0, len(parcel.events), _PIECE):
        rows = [_event(*values) for values in parcel.events[start : start + _PIECE]]
        store.append(record.run_id, rows, rows[-1][0].offset, b"")
    store.finish(record, progress, _calls(parcel.calls))
    return record


def failed(store: Store, run_id: str, spec: RunSpec, error: BaseException) -> RunRecord:
    """Write down a run that its worker lost."""
    why = ErrorInfo(type(error).__name__, str(error) or "the worker gave no reason")
    record = RunRecord(
        run_id=run_id,
        mode=spec.mode,
        spec=spec,
        outcome="infrastructure",
        started_at=datetime.now(UTC),
        error=why,
    )
    return unpack(store, Parcel(record.to_dict(), [], [], "", ""))


def _event(kind: str, subtype: str | None, arrived_at: float, offset: int, raw: str) -> tuple[Event, str]:
    return Event(kind, subtype, datetime.fromtimestamp(arrived_at, UTC), offset, json.loads(raw)), raw


def _calls(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**call, "stream": int(bool(call.get("stream")))} for call in calls]
