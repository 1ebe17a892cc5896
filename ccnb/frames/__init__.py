"""Results as pandas frames; docs/frames.md has their columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pandas as pd

from ccnb.frames import choose
from ccnb.frames.build import frame_of_columns, frame_of_rows
from ccnb.frames.choose import Runs
from ccnb.frames.columns import COLUMNS, PARTS
from ccnb.frames.tools import tool_rows
from ccnb.render import one_line
from ccnb.results import PHASES
from ccnb.runner.handles import RunResult
from ccnb.store.tables import EVENT_COLUMNS, KeptRun, event_rows

__all__ = [
    "calls_frame",
    "events_frame",
    "files_frame",
    "kept_frame",
    "phases_frame",
    "runs_frame",
    "similarity_frame",
    "tools_frame",
]

_SECONDS = ("at", "arrived_at")
_PROMPT = 80
_WORDS = 2_000
"""Of each answer that is compared: the comparison takes the square of their number."""


def runs_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each run.

    Parameters
    ----------
    runs
        A result, a list of results, what `ccnb.runs` gave, or a comparison: those of its runs that count.
        Without it: the whole store.
    **where
        Which runs of the store, as in `ccnb.runs`.

    Raises
    ------
    SpecError
    """
    return frame_of_rows("runs", (_run_row(run) for run in choose.facts(runs, where)))


def kept_frame(runs: Iterable[KeptRun]) -> pd.DataFrame:
    """Return the same frame of runs as they are written down."""
    return frame_of_rows("runs", map(_run_row, runs))


def events_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each event, without what it says. See `runs_frame` for the parameters."""
    pieces: dict[str, list[Any]] = {name: [] for name in ("run_id", "since_s", *EVENT_COLUMNS)}
    for store, run_id, began in choose.stores(runs, where):
        # Columns piece by piece: rows are let go of as soon as they are read.
        for rows in event_rows(store, run_id):
            for name, values in zip(EVENT_COLUMNS, zip(*rows, strict=True), strict=True):
                pieces[name].append(np.array(values, dtype=float if name in _SECONDS else object))
            pieces["run_id"].append(np.full(len(rows), run_id, dtype=object))
            pieces["since_s"].append(pieces["at"][-1] - began)
    return frame_of_columns("events", {n: np.concatenate(p) if p else [] for n, p in pieces.items()})


def tools_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each call of a tool. See `runs_frame` for the parameters."""
    modes = {run.run_id: run.mode for run in choose.facts(runs, where)}
    rows = (
        {"run_id": run_id, "mode": modes.get(run_id), **row}
        for store, run_id, began in choose.stores(runs, where)
        for row in tool_rows(store, run_id, began)
    )
    return frame_of_rows("tools", rows)


def calls_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each call of the model that went through the gateway. See `runs_frame`."""
    rows = (row for result in choose.results(runs, where) for row in _call_rows(result))
    return frame_of_rows("calls", rows)


def files_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each file that a run made, changed or removed. See `runs_frame`."""
    rows = (
        {"run_id": run.run_id, "mode": run.mode, **file}
        for run in choose.facts(runs, where)
        for file in (run.record or {}).get("files", ())
    )
    return frame_of_rows("files", rows)


def phases_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each phase of each finished run. See `runs_frame` for the parameters."""
    rows = (row for run in choose.facts(runs, where) if run.record for row in _phase_rows(run, run.record))
    return frame_of_rows("phases", rows)


def similarity_frame(runs: Runs = None, /, **where: Any) -> pd.DataFrame:
    """Return one row for each pair of finished runs: how alike their answers are, word by word.

    See `runs_frame` for the parameters. Of an answer the first 2,000 words are compared, and the work grows
    with the square of the number of runs: choose some.
    """
    ended = [(run, run.record) for run in choose.facts(runs, where) if run.record]
    words = {run.run_id: str(record.get("text", "")).split()[:_WORDS] for run, record in ended}
    ratios: dict[frozenset[str], float] = defaultdict(lambda: 1.0)
    for number, (one, _) in enumerate(ended):
        for other, _ in ended[number + 1 :]:
            matcher = SequenceMatcher(None, words[one.run_id], words[other.run_id], autojunk=False)
            ratios[frozenset((one.run_id, other.run_id))] = matcher.ratio()
    rows = (
        {
            "run_id": one.run_id,
            "other_run_id": other.run_id,
            "mode": one.mode,
            "other_mode": other.mode,
            "similarity": ratios[frozenset((one.run_id, other.run_id))],
        }
        for one, _ in ended
        for other, _ in ended
    )
    return frame_of_rows("similarity", rows)


def _run_row(run: KeptRun) -> dict[str, Any]:
    spec = run.spec
    row = {
        "run_id": run.run_id,
        "mode": run.mode,
        "state": run.state,
        "started_at": run.started_at,
        "fingerprint": run.fingerprint,
        "model": spec.get("model"),
        "api": spec.get("api"),
        "prompt": one_line(spec.get("prompt", ""), _PROMPT),
    }
    return row | _ended(run.record) if run.record else row


def _ended(record: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run only when it is over."""
    timings, check, error = record.get("timings") or {}, record.get("check"), record.get("error")
    conditions = record.get("conditions") or {}
    asked = record["spec"].get("model")
    plain = ("outcome", "num_turns", "total_cost_usd", "exit_code", "session_id")
    return {
        **{name: record.get(name) for name in plain},
        **timings,
        **(record.get("usage") or {}),
        "wall_s": sum(timings.get(name, 0.0) for name in PHASES),
        "model": conditions.get("model") or asked,
        "agent_version": conditions.get("agent_version"),
        "concurrency": conditions.get("concurrency"),
        "check_passed": check["exit_code"] == 0 if check else None,
        "error_kind": error["kind"] if error else None,
        "num_files": len(record.get("files", ())),
    }


def _phase_rows(run: KeptRun, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    timings = record.get("timings") or {}
    for phase in PARTS:
        yield {
            "run_id": run.run_id,
            "mode": run.mode,
            "phase": phase,
            "seconds": timings.get(f"{phase}_s"),
            "in_wall": phase != "cleanup",
        }


def _call_rows(result: RunResult) -> Iterator[dict[str, Any]]:
    began = result.started_at.timestamp()
    known = {column.name for column in COLUMNS["calls"]}
    for call in result.calls:
        at = call["at"].timestamp()
        yield {name: value for name, value in call.items() if name in known} | {
            "run_id": result.run_id,
            "mode": result.mode,
            "at": at,
            "since_s": at - began,
        }
