"""Many runs and events at once, as plain columns: what frames are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ccnb.events import Event
from ccnb.store.database import Store

EVENT_COLUMNS = (
    "offset",
    "at",
    "arrived_at",
    "type",
    "subtype",
    "message_id",
    "parent_tool_use_id",
    "tool_use_id",
    "tool_name",
    "is_error",
    "size_bytes",
)
"""What `event_rows` gives of each event, in this order; times are unix seconds."""

_BATCH = 2_000
"""Rows at once: many more keep the garbage collector busy, many fewer the database."""
_SIZE = "length(CAST(raw AS BLOB))"
_RUN = "(SELECT run FROM runs WHERE run_id = ?)"
_BEGAN = "coalesce(json_extract(progress, '$.marks.begin'), created_at)"
_KEPT = f"run_id, mode, state, {_BEGAN}, fingerprint, spec, record"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as it is written down, with its JSON read but not made into values."""

    run_id: str
    mode: str
    state: str
    started_at: float
    """Unix seconds."""
    fingerprint: str
    spec: dict[str, Any]
    record: dict[str, Any] | None
    """`None` while it isn't finished."""


def kept_runs(store: Store, **where: Any) -> Iterator[KeptRun]:
    """Yield the runs that `Store.runs` would give for the same choice, in the same order."""
    yield from map(_kept, store.select(_KEPT, **where))


def kept_by_id(store: Store, ids: str, values: Sequence[Any]) -> Iterator[KeptRun]:
    """Yield the runs whose ids a query gives."""
    query = f"SELECT {_KEPT} FROM runs WHERE run_id IN ({ids})"  # noqa: S608 - no outside text
    yield from map(_kept, store.query(query, values))


def _kept(row: Sequence[Any]) -> KeptRun:
    run_id, mode, state, began, fingerprint, spec, record = row
    ended = json.loads(record) if record else None
    return KeptRun(run_id, mode, state, began, fingerprint, json.loads(spec), ended)


def chosen_ids(store: Store, **where: Any) -> list[tuple[Any, ...]]:
    """Return the ids of the chosen runs with the unix seconds at which each began."""
    return store.select(f"run_id, {_BEGAN}", **where)


def event_rows(store: Store, run_id: str) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield `EVENT_COLUMNS` of each event of a run, in order, many at a time."""
    columns = ", ".join(EVENT_COLUMNS).replace("size_bytes", _SIZE)
    query = (
        f"SELECT {columns} FROM events"  # noqa: S608 - ours
        f" WHERE run = {_RUN} AND offset > ? ORDER BY offset LIMIT {_BATCH}"
    )
    after = -1
    while rows := store.query(query, (run_id, after)):
        yield rows
        after = rows[-1][0]


def tool_events(store: Store, run_id: str) -> Iterator[Event]:
    """Yield each event of a run that calls a tool or answers such a call."""
    query = (
        f"SELECT type, subtype, arrived_at, offset, raw FROM events WHERE run = {_RUN}"  # noqa: S608 - ours
        " AND tool_use_id IS NOT NULL AND type IN ('assistant', 'user') ORDER BY offset"
    )
    for kind, subtype, arrived_at, offset, raw in store.query(query, (run_id,)):
        yield Event(kind, subtype, datetime.fromtimestamp(arrived_at, UTC), offset, json.loads(raw))
