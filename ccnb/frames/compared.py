"""The rows of a comparison as a frame: what each was to be, and what became of its latest attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas import DataFrame as Frame

from ccnb.store.tables import KeptRun

__all__ = ["CONDITIONS", "Frame", "compared_frame", "table"]

CONDITIONS = ("engine", "image_digest", "sandbox", "host_load", "cpus")
"""What is taken from a run's conditions, beside what every frame of runs has."""
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
    wanted = pd.DataFrame(rows).astype({"run_id": "string", "arm": "string"})
    conditions = pd.DataFrame([_conditions(run) for run in runs], columns=["run_id", *CONDITIONS])
    known = made.drop(columns=[c for c in _ASKED if c in made]).rename(columns=_RENAMED)
    known = known.drop(columns=[c for c in known if c != "run_id" and c in wanted])
    known = known.merge(conditions.astype({"run_id": "string"}), on="run_id", how="left")
    frame = wanted.merge(known, on="run_id", how="left")
    return frame.assign(passed=_passed(frame))


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Frame:
    """Return a frame of rows whose columns depend on the comparison."""
    return pd.DataFrame(list(rows), columns=None if columns is None else list(columns))


def _conditions(run: KeptRun) -> dict[str, Any]:
    known = (run.record or {}).get("conditions") or {}
    return {"run_id": run.run_id} | {name: known.get(name) for name in CONDITIONS}


def _passed(frame: Frame) -> Any:
    """Return whether a row's work is good; missing where it doesn't count."""
    good = (frame["outcome"] == "success") & frame["check_passed"].fillna(value=True)
    return good.astype("boolean").where(frame["counted"].astype(bool))
