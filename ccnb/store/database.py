"""What the SQLite file says of runs, their events, and the places they live in."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccnb.errors import RunNotFoundError
from ccnb.events import Event
from ccnb.results import RunRecord
from ccnb.spec import RunSpec
from ccnb.store import calls as call_table
from ccnb.store.connection import Database
from ccnb.store.folders import RunFolder, home
from ccnb.store.rows import Progress, RunRow

_BATCH = 500


class Store:
    """All runs of one home. Safe to use from several threads and processes at once.

    Raises
    ------
    StoreError
        From any method: the file can't be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.home = path or home()
        self._database = Database.of(self.home / "ccnb.sqlite3")

    def folder(self, run_id: str) -> RunFolder:
        """Return where the run's files lie."""
        return RunFolder(self.home / "runs" / run_id)

    def add_run(self, run_id: str, spec: RunSpec, progress: Progress) -> None:
        """Write down a run before anything of it is made."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO runs (run_id, mode, state, created_at, spec, fingerprint, progress)"
                " VALUES (?, ?, 'preparing', ?, ?, ?, ?)",
                (
                    run_id,
                    spec.mode,
                    time.time(),
                    json.dumps(spec.to_dict()),
                    spec.fingerprint(),
                    json.dumps(asdict(progress)),
                ),
            )

    def set_state(self, run_id: str, state: str, progress: Progress) -> None:
        """Write down how far the run is."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE runs SET state = ?, progress = ? WHERE run_id = ?",
                (state, json.dumps(asdict(progress)), run_id),
            )

    def append(self, run_id: str, events: Sequence[tuple[Event, str]], offset: int, digest: bytes) -> None:
        """Add events and the offset up to which the output is in, in one transaction."""
        with self._database.transaction() as db:
            run = _number(db, run_id)
            db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_columns(run, event, kept) for event, kept in events),
            )
            db.execute("UPDATE runs SET offset = ?, digest = ? WHERE run = ?", (offset, digest, run))

    def finish(self, record: RunRecord, progress: Progress, calls: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write down the finished run with its model calls."""
        with self._database.transaction() as db:
            call_table.put(db, _number(db, record.run_id), calls)
            db.execute(
                "UPDATE runs SET state = 'done', outcome = ?, ended_at = ?, record = ?, progress = ?"
                " WHERE run_id = ?",
                (
                    record.outcome,
                    time.time(),
                    json.dumps(record.to_dict()),
                    json.dumps(asdict(progress)),
                    record.run_id,
                ),
            )

    def update_record(self, record: RunRecord) -> None:
        """Write a finished run's record anew."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE runs SET record = ? WHERE run_id = ?",
                (json.dumps(record.to_dict()), record.run_id),
            )

    def run(self, run_id: str) -> RunRow:
        """Return a run by its id, or by a part of it that only one has.

        Raises
        ------
        RunNotFoundError
        """
        rows = self._rows("WHERE run_id = ?", (run_id,))
        if not rows:
            rows = self._rows("WHERE instr(run_id, ?) LIMIT 2", (run_id,))
        if len(rows) != 1 or not run_id:
            what = "no run has" if not rows else "more than one run has"
            raise RunNotFoundError(f"{what} the id {run_id!r}; `ccnb runs` lists them")
        return rows[0]

    def runs(
        self,
        *,
        state: str | None = None,
        mode: str | None = None,
        outcome: str | None = None,
        fingerprint: str | None = None,
        before: float | None = None,
        finished: bool | None = None,
        limit: int = -1,
    ) -> list[RunRow]:
        """Return runs, the latest first. `before` is the creation's upper limit in unix seconds."""
        equal = {"state": state, "mode": mode, "outcome": outcome, "fingerprint": fingerprint}
        where, values = _chosen(limit, before, finished, **equal)
        return self._rows(where, values)

    def select(
        self,
        columns: str,
        *,
        limit: int = -1,
        before: float | None = None,
        finished: bool | None = None,
        **equal: Any,
    ) -> list[tuple[Any, ...]]:
        """Return some columns of the runs that `runs` would give; nothing is made of their JSON."""
        where, values = _chosen(limit, before, finished, **equal)
        return self._database.read(f"SELECT {columns} FROM runs {where}", values)  # noqa: S608 - no outside text

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that only reads."""
        return self._database.read(sql, values)

    def write(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Do one statement that writes."""
        with self._database.transaction() as db:
            db.execute(sql, values)

    def remove(self, run_id: str) -> None:
        """Remove a run, its events and its folder."""
        self.folder(run_id).remove()
        with self._database.transaction() as db:
            db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    def add_place(self, run_id: str, mode: str, place: Mapping[str, Any]) -> None:
        """Write down a place as soon as it is there; what the run had before is replaced."""
        with self._database.transaction() as db:
            run = _number(db, run_id)
            db.execute("DELETE FROM places WHERE run = ?", (run,))
            db.execute(
                "INSERT INTO places (run, mode, place, created_at) VALUES (?, ?, ?, ?)",
                (run, mode, json.dumps(dict(place)), time.time()),
            )

    def place(self, run_id: str) -> dict[str, Any] | None:
        """Return the run's place, unless it has none or it was removed."""
        rows = self._database.read(
            "SELECT place FROM places JOIN runs USING (run) WHERE run_id = ? AND removed_at IS NULL",
            (run_id,),
        )
        return json.loads(rows[0][0]) if rows else None

    def places_left(self) -> list[tuple[RunRow, dict[str, Any]]]:
        """Return the places that were not removed, as far as is written down, with their runs."""
        query = "SELECT run_id, place FROM places JOIN runs USING (run) WHERE removed_at IS NULL"
        return [(self.run(run_id), json.loads(place)) for run_id, place in self._database.read(query, ())]

    def set_place_removed(self, run_id: str) -> None:
        """Write down that the run's place is gone."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE places SET removed_at = ? WHERE run = (SELECT run FROM runs WHERE run_id = ?)",
                (time.time(), run_id),
            )

    def count_events(self, run_id: str) -> int:
        """Return how many events the run has so far."""
        query = "SELECT count(*) FROM events WHERE run = (SELECT run FROM runs WHERE run_id = ?)"
        return int(self._database.read(query, (run_id,))[0][0])

    def events(self, run_id: str, *, after: int = -1, limit: int = -1, skip: int = 0) -> Iterator[Event]:
        """Yield events in order: those whose offset is above `after`; never all of them in memory."""
        query = (
            "SELECT offset, arrived_at, type, subtype, raw FROM events"
            " WHERE run = (SELECT run FROM runs WHERE run_id = ?) AND offset > ?"
            " ORDER BY offset LIMIT ? OFFSET ?"
        )
        while limit:
            size = _BATCH if limit < 0 else min(limit, _BATCH)
            rows = self._database.read(query, (run_id, after, size, skip))
            for offset, arrived_at, kind, subtype, raw in rows:
                at = datetime.fromtimestamp(arrived_at, UTC)
                yield Event(kind, subtype, at, offset, json.loads(raw))
            if len(rows) < size:
                return
            after, skip, limit = rows[-1][0], 0, limit - size if limit > 0 else limit

    def calls(self, run_id: str) -> list[dict[str, Any]]:
        """Return a finished run's model calls."""
        return [call_table.call(row) for row in self._database.read(call_table.QUERY, (run_id,))]

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._database.close()

    def _rows(self, where: str, values: Sequence[Any]) -> list[RunRow]:
        columns = "run_id, mode, state, outcome, created_at, ended_at, spec, progress, offset, digest, record"
        query = f"SELECT {columns} FROM runs {where}"  # noqa: S608 - both are written in this module
        return [self._row(*row) for row in self._database.read(query, values)]

    def _row(self, run_id: str, mode: str, state: str, outcome: str | None, *rest: Any) -> RunRow:
        created_at, ended_at, spec, progress, offset, digest, record = rest
        return RunRow(
            run_id=run_id,
            mode=mode,
            state=state,
            outcome=outcome,
            created_at=datetime.fromtimestamp(created_at, UTC),
            ended_at=datetime.fromtimestamp(ended_at, UTC) if ended_at else None,
            spec=RunSpec.from_dict(json.loads(spec)),
            progress=Progress.from_dict(json.loads(progress)),
            offset=offset,
            digest=digest,
            record=RunRecord.from_dict(json.loads(record)) if record else None,
            folder=self.folder(run_id),
        )


def _chosen(limit: int, before: float | None, finished: bool | None, **equal: Any) -> tuple[str, list[Any]]:
    """Return the end of a query for runs, the latest first, and the values for its places."""
    wanted = {name: value for name, value in equal.items() if value is not None}
    terms, values = [f"{name} = ?" for name in wanted], [*wanted.values()]
    if before is not None:
        terms.append("created_at < ?")
        values.append(before)
    if finished is not None:
        terms.append(f"record IS {'NOT ' if finished else ''}NULL")
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    return f"{where} ORDER BY created_at DESC, run DESC LIMIT ?", [*values, limit]


def _number(db: sqlite3.Connection, run_id: str) -> int:
    row = db.execute("SELECT run FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFoundError(f"no run has the id {run_id!r}; `ccnb runs` lists them")
    return int(row[0])


def _columns(run: int, event: Event, kept: str) -> tuple[Any, ...]:
    use = next(iter(event.tool_uses), None) if event.type == "assistant" else None
    result = next(iter(event.tool_results), None) if event.type == "user" else None
    is_error = event.raw.get("is_error") if event.type == "result" else result and result.is_error
    return (
        run,
        event.offset,
        event.arrived_at.timestamp(),
        event.at.timestamp(),
        event.type,
        event.subtype,
        _storable(event.message_id),
        _storable(event.parent_tool_use_id),
        _storable(use.id if use else result.tool_use_id if result else None),
        _storable(use.name if use else event.denied_tool),
        None if is_error is None else int(bool(is_error)),
        kept,
    )


def _storable(text: str | None) -> str | None:
    """Return a text that SQLite takes: bytes that are no UTF-8 are in the message itself only."""
    return text.encode(errors="replace").decode() if text else text
