"""The frame of a comparison has its declared columns, whether its rows have run or not."""

from __future__ import annotations

from ccnb.comparison.matrix import Arm, Matrix
from ccnb.comparison.result import Comparison
from ccnb.frames.columns import COLUMNS, MET, WANTED
from ccnb.spec import RunSpec
from ccnb.store import Store, comparisons
from tests.comparison.kept import keep_comparison

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


def dtypes(name):
    return {column: str(dtype) for column, dtype in Comparison(name).frame.dtypes.items()}


def test_the_columns_are_as_declared_for_rows_that_have_run_and_for_rows_that_have_not(home):
    store = Store(home)
    keep_comparison(store, "done", MATRIX, lambda row: {"wall_s": 1.0})
    comparisons.add(store, "begun", MATRIX.to_dict())
    assert dtypes("done") == DECLARED
    assert dtypes("begun") == DECLARED
