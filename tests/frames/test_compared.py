"""The frame of a comparison has its declared columns, whether its rows have run or not."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from ccnb import frames
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.comparison.result import Comparison
from ccnb.frames.columns import COLUMNS, MET, WANTED
from ccnb.gateway.network_log import Entry
from ccnb.spec import RunSpec
from ccnb.store import Store, comparisons
from tests.comparison.kept import keep_comparison
from tests.kept import BEGAN, use

AXES = {"prompt": ("x",), "mode": ("docker", "local"), "model": ("default",)}
ARMS = tuple(
    Arm({"prompt": "x", "mode": mode, "model": "default"}, RunSpec(prompt="x", mode=mode))
    for mode in AXES["mode"]
)
MATRIX = Matrix(arms=ARMS, axes=AXES, repeats=2, warmups=0, seed=1, concurrency=1)
DECLARED = {
    **{column.name: column.dtype for column in COLUMNS["runs"]},
    "model_served": "string",
    **{column.name: column.dtype for column in (*WANTED, *MET)},
    **dict.fromkeys(AXES, "string"),
}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_each_frame_is_made_of_a_comparison_too_by_its_runs_that_count(home, name):
    at = datetime.fromtimestamp(BEGAN, UTC)
    call = {"at": at, "stream": True, "status": 200, "retries": 0, "end": "complete"}

    def facts(row):
        outcome = "infrastructure" if row.number == 1 else "success"
        return {"outcome": outcome, "events": [(1.0, use("t"))], "calls": [call]}

    keep_comparison(Store(home), "done", MATRIX, facts)
    comparison = Comparison("done")
    for run_id in comparison.frame["run_id"]:
        Entry(Store(home).folder(run_id).path, "api.example.org", 443).opened("open")
    found = getattr(frames, f"{name}_frame")(comparison)
    assert set(found["run_id"]) == {"done-0", "done-2", "done-3"}
    pd.testing.assert_frame_equal(found, getattr(frames, f"{name}_frame")(comparison.results()))


def dtypes(name):
    return {column: str(dtype) for column, dtype in Comparison(name).frame.dtypes.items()}


def test_the_columns_are_as_declared_for_rows_that_have_run_and_for_rows_that_have_not(home):
    store = Store(home)
    keep_comparison(store, "done", MATRIX, lambda row: {"wall_s": 1.0})
    comparisons.add(store, "begun", MATRIX.to_dict())
    assert dtypes("done") == DECLARED
    assert dtypes("begun") == DECLARED
