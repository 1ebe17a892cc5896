"""The rows of a comparison as a frame: what each was to be, and what became of its latest attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas import DataFrame as Frame

from ccnb.frames.columns import MET, WANTED
from ccnb.store.tables import KeptRun

__all__ = ["Frame", "compared_frame", "table"]

_MET = {column.name: column.dtype for column in MET if column.name != "passed"}
"""What is taken from a run's record, beside what every frame of runs has."""
_RENAMED = {"model": "model_served"}
_ASKED = ("mode", "prompt")
"""Columns of a run that its row says already."""


def compared_frame(rows: Sequence[Mapping[str, Any]], runs: Sequence[KeptRun], made: Frame) -> Frame:
    """Return one row for each wanted run; what hasn't run yet has missing values.

    Parameters
    ----------
    rows
        Of each what it was to be, with `run_id`.
    runs
        The runs that are there.
    made
        The frame of these runs.
    """
    declared = {column.name: column.dtype for column in WANTED}
    wanted = pd.DataFrame(rows)
    # What isn't declared is an axis.
    wanted = wanted.astype({name: declared.get(name, "string") for name in wanted})
    met = pd.DataFrame([_met(run) for run in runs], columns=["run_id", *_MET])
    known = made.drop(columns=[c for c in _ASKED if c in made]).rename(columns=_RENAMED)
    known = known.drop(columns=[c for c in known if c != "run_id" and c in wanted])
    known = known.merge(met.astype({"run_id": "string", **_MET}), on="run_id", how="left")
    frame = wanted.merge(known, on="run_id", how="left")
    return frame.assign(passed=_passed(frame))


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Frame:
    """Return a frame of rows whose columns depend on the comparison."""
    return pd.DataFrame(list(rows), columns=None if columns is None else list(columns))


def _met(run: KeptRun) -> dict[str, Any]:
    """Return under which conditions a run went on, and what its check's command ended with."""
    record = run.record or {}
    known = record.get("conditions") or {}
    code = (record.get("check") or {}).get("exit_code")
    return {name: known.get(name) for name in _MET} | {"run_id": run.run_id, "check_exit_code": code}


def _passed(frame: Frame) -> Any:
    """Return whether a row's work is good; missing where it doesn't count."""
    good = (frame["outcome"] == "success") & frame["check_passed"].fillna(value=True)
    return good.astype("boolean").where(frame["counted"].astype(bool))
