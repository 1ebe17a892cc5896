"""Whether the repeats of an arm agree with each other, in numbers and as a picture."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure

import ccnb
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.results import CheckResult, FileChange
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.kept import keep_comparison

MODES = ("docker", "local")
MADE, CHANGED = FileChange("a.py", "made", 10), FileChange("b.py", "changed", 10)


def kept(home, facts, repeats=4):
    """Keep a comparison; `facts` gives what a row is told by from its mode and its block."""
    arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in MODES)
    matrix = Matrix(arms, {"mode": MODES}, repeats=repeats, warmups=0, seed=1, concurrency=1)
    keep_comparison(Store(home), "kept", matrix, lambda row: facts(MODES[row.arm], row.block))
    return ccnb.Comparison("kept")


def agreeing_or_not(mode, block):
    """Return facts of runs that agree in `docker`, and of which one in four differs in `local`."""
    other = mode == "local" and block == 1
    return {
        "check": CheckResult("true", int(other), ""),
        "files": (CHANGED,) if other else (CHANGED, MADE) if block % 2 else (MADE, CHANGED),
        "text": "nothing of that kind" if other else "All is done now",
    }


def test_repeats_agree_in_the_verdict_in_the_files_and_in_the_answer(home):
    docker, local = kept(home, agreeing_or_not).agreement().to_dict("records")
    # In which order the files are named makes no difference.
    assert docker == {"arm": "docker", "n": 4, "verdict": 1.0, "files": 1.0, "answers": 1.0}
    assert (local["verdict"], local["files"]) == (0.75, 0.75)
    # Of six pairs, the three with the odd one have no word in common.
    assert local["answers"] == pytest.approx(0.5)


def test_the_same_verdict_by_another_ending_is_another_one(home):
    endings = {1: "success", 2: "timeout", 3: "timeout", 4: "max_turns"}
    agreement = kept(home, lambda mode, block: {"outcome": endings[block]}).agreement()
    assert list(agreement["verdict"]) == [0.5, 0.5]


def test_of_one_run_there_is_nobody_to_agree_with(home):
    agreement = kept(home, agreeing_or_not, repeats=1).agreement()
    assert list(agreement["verdict"]) == [1.0, 1.0]
    assert all(math.isnan(alike) for alike in agreement["answers"])


def test_it_is_a_picture_too_each_run_against_each_by_arm(home):
    comparison = kept(home, agreeing_or_not)
    ax = comparison.plot("agreement", ax=Figure().subplots())
    square = ax.images[0].get_array()
    assert square.shape == (8, 8)
    # Rows stand by mode: all of docker agree; one of local has nothing in common with the seven others.
    assert (square[:4, :4] == 1).all()
    assert sorted(square.sum(axis=1).round(6)) == [1.0, *[7.0] * 7]
    assert ax.get_title() == "n = 8 runs"
