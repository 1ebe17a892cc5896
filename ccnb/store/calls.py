"""The table of model calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

COLUMNS = (
    "at",
    "model",
    "status",
    "stream",
    "retries",
    "first_byte_s",
    "duration_s",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cost_usd",
    "turn",
    "end",
    "refused",
)
"""What is kept of a call; `at` is when it began."""

_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)


def put(db: sqlite3.Connection, run: int, calls: Sequence[Mapping[str, Any]]) -> None:
    """Write a run's calls in the place of those that it had."""
    db.execute("DELETE FROM calls WHERE run = ?", (run,))
    marks = ", ".join("?" * (len(COLUMNS) + 2))
    db.executemany(
        f"INSERT INTO calls (run, call, {_NAMES}) VALUES ({marks})",  # noqa: S608 - names of this module
        ((run, number, *(_column(call.get(name)) for name in COLUMNS)) for number, call in enumerate(calls)),
    )


QUERY = (
    f"SELECT {_NAMES} FROM calls"  # noqa: S608 - names of this module
    " WHERE run = (SELECT run FROM runs WHERE run_id = ?) ORDER BY call"
)


def call(row: Sequence[Any]) -> dict[str, Any]:
    """Return a call from a row of `QUERY`."""
    values = dict(zip(COLUMNS, row, strict=True))
    return values | {"at": datetime.fromtimestamp(values["at"], UTC), "stream": bool(values["stream"])}


def _column(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    # What is no UTF-8 can't be stored; a model's name may be anything that an agent asks for.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
