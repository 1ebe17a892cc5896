"""Comparisons as they are written down: their matrix, and which run is which attempt of which row."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ccnb.store.database import Store
from ccnb.store.tables import KeptRun, kept_by_id

_ID = "(SELECT comparison FROM comparisons WHERE name = ?)"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a row."""

    number: int
    """The row's."""
    attempt: int
    """Counted from 0."""
    run_id: str


def add(store: Store, name: str, matrix: Mapping[str, Any]) -> dict[str, Any]:
    """Write a comparison down unless one of that name is there; return the matrix that is now there."""
    store.write(
        "INSERT INTO comparisons (name, created_at, matrix) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, time.time(), json.dumps(matrix)),
    )
    return matrix_of(store, name) or dict(matrix)


def matrix_of(store: Store, name: str) -> dict[str, Any] | None:
    """Return a comparison's matrix; `None` where there is none of that name."""
    rows = store.query("SELECT matrix FROM comparisons WHERE name = ?", (name,))
    return json.loads(rows[0][0]) if rows else None


def replace(store: Store, name: str, matrix: Mapping[str, Any]) -> None:
    """Write a comparison's matrix anew: it got more rows."""
    store.write("UPDATE comparisons SET matrix = ? WHERE name = ?", (json.dumps(matrix), name))


def names(store: Store) -> list[tuple[str, datetime]]:
    """Return the comparisons in the store with the time they were begun, the latest first."""
    rows = store.query("SELECT name, created_at FROM comparisons ORDER BY created_at DESC")
    return [(name, datetime.fromtimestamp(at, UTC)) for name, at in rows]


def add_attempt(store: Store, name: str, attempt: Attempt) -> None:
    """Write an attempt down, before its run is begun: so no run is ever without its row."""
    store.write(
        f"INSERT INTO attempts VALUES ({_ID}, ?, ?, ?)",  # noqa: S608 - ours
        (name, attempt.number, attempt.attempt, attempt.run_id),
    )


def attempts(store: Store, name: str) -> list[Attempt]:
    """Return all attempts, by row and in their order."""
    query = (
        f"SELECT number, attempt, run_id FROM attempts WHERE comparison = {_ID}"  # noqa: S608 - ours
        " ORDER BY number, attempt"
    )
    return [Attempt(*row) for row in store.query(query, (name,))]


def kept(store: Store, name: str) -> dict[str, KeptRun]:
    """Return the runs of all attempts, by their id."""
    ids = f"SELECT run_id FROM attempts WHERE comparison = {_ID}"  # noqa: S608 - ours
    return {run.run_id: run for run in kept_by_id(store, ids, (name,))}
