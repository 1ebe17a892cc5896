"""What this machine is ready for: the modes, the programs, the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccnb.render.grid import Cell, Grid


def readiness_table(modes: Sequence[Mapping[str, Any]]) -> Grid:
    """Return a row for each mode: ready or not, why, and what to do.

    A mode is a mapping of what `ccnb.modes()` gives: `mode, ready, version, why, next_action, facts, notes`.
    """
    rows = [
        (
            Cell(m["mode"], "bold"),
            Cell("ready", "green") if m["ready"] else Cell("not ready", "red"),
            m["version"],
            m["facts"].get("isolation", "") if m["ready"] else m["why"],
            "; ".join(m["notes"]) if m["ready"] else m["next_action"],
        )
        for m in modes
    ]
    headings = ("mode", "", "version", "isolation, or why not", "what to do or know")
    return Grid(headings, rows, whole=frozenset({0, 1}))


def facts_table(modes: Sequence[Mapping[str, Any]]) -> Grid:
    """Return the modes side by side: where they run, what walls them off, what becomes of files."""
    names = list(dict.fromkeys(name for m in modes for name in m["facts"]))
    rows: list[list[str | Cell]] = [
        [Cell(name, "dim"), *(m["facts"].get(name, "-") for m in modes)] for name in names
    ]
    return Grid(("", *(m["mode"] for m in modes)), rows, whole=frozenset({0}))


def doctor_table(things: Sequence[tuple[str, str, str]]) -> Grid:
    """Return what was found: `(thing, what was found, what to do)` for each row."""
    rows = [
        (Cell(thing, "bold"), Cell(found, "red" if action else ""), action) for thing, found, action in things
    ]
    return Grid(("", "found", "what to do"), rows, whole=frozenset({0}))


def sandboxes_table(rows: Sequence[Mapping[str, str]]) -> Grid:
    """Return a row for each sandbox: `name, lasting, run_id, program, run` (its state) and `workspace`."""
    columns = ("name", "lasting", "run_id", "program", "run", "workspace")
    cells = [tuple(row[column] for column in columns) for row in rows]
    return Grid(("sandbox", "lasting", "run", "by", "state", "workspace"), cells, whole=frozenset({0, 1, 2}))
