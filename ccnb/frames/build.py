"""Columns of plain values to a frame with the declared dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ccnb.frames.columns import CATEGORIES, COLUMNS, TIME, Column

_MICROSECONDS = 1e6


def frame_of_columns(name: str, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame of whole columns: sequences of plain values, times as unix seconds."""
    return pd.DataFrame({c.name: _series(c, values[c.name]) for c in COLUMNS[name]}, copy=False)


def frame_of_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a frame of rows; what a row doesn't have is missing in it."""
    kept = list(rows)
    return frame_of_columns(name, {c.name: [row.get(c.name) for row in kept] for c in COLUMNS[name]})


def _series(column: Column, values: Sequence[Any]) -> Any:
    if column.dtype == TIME:
        # By way of whole microseconds: floats would be rounded in another way by each version of pandas.
        micros = (pd.Series(values, dtype="float64") * _MICROSECONDS).round().astype("Int64")
        return pd.to_datetime(micros, unit="us", utc=True).dt.as_unit("us")
    if column.dtype == "category":
        return pd.Series(pd.Categorical(values, categories=CATEGORIES[column.name], ordered=True))
    return pd.Series(values, dtype=column.dtype)
