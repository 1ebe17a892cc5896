"""Each arm in numbers, and what a reader should know before believing them."""

from __future__ import annotations

import math

import pytest

import ccnb
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.results import PHASES, CheckResult, Timings
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.kept import keep_comparison

MODES = ("docker", "local")


def kept(home, facts, *, repeats=6, name="kept"):
    """Keep a comparison of two modes and return it."""
    arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in MODES)
    matrix = Matrix(arms=arms, axes={"mode": MODES}, repeats=repeats, warmups=0, seed=1, concurrency=1)
    keep_comparison(Store(home), name, matrix, facts)
    return ccnb.Comparison(name)


def test_every_phase_has_its_median_and_its_interval(home):
    def facts(row):
        by_phase = {phase: 10.0 * place + row.block for place, phase in enumerate(PHASES)}
        return {"timings": Timings(**by_phase, model_s=100.0 + row.block, tools_s=200.0 + row.block)}

    for row in kept(home, facts).summary().to_dict("records"):
        for place, name in [*enumerate(PHASES), (10, "model_s"), (20, "tools_s")]:
            # Of six values, the first and the last hold the median 97 times in 100.
            found = (row[name], row[f"{name}_low"], row[f"{name}_high"])
            assert found == pytest.approx((10 * place + 3.5, 10 * place + 1, 10 * place + 6))


def test_with_fewer_than_six_runs_a_phase_has_a_median_and_no_interval(home):
    summary = kept(home, lambda row: {"timings": Timings(agent_s=float(row.block))}, repeats=5).summary()
    assert list(summary["agent_s"]) == [3.0, 3.0]
    assert all(math.isnan(bound) for bound in (*summary["agent_s_low"], *summary["agent_s_high"]))


def ending_with(codes):
    """Return facts whose checks end with a code for each mode."""
    return lambda row: {"check": CheckResult("pytset -q", codes[MODES[row.arm]], "sh: pytset: not found")}


def test_a_check_whose_program_is_not_there_is_told_as_no_verdict_on_the_agent(home):
    comparison = kept(home, ending_with({"docker": 127, "local": 0}))
    assert list(comparison.summary()["passed"]) == [0, 6]
    first = comparison.frame.query("mode == 'docker'")["number"].iloc[0]
    assert "In 6 runs (docker) the check ended with 127: the shell found no such command" in comparison.text
    assert f"see .result({first}).check.output, and mend the check" in comparison.text
    assert comparison.result(int(first)).check.output == "sh: pytset: not found"


def test_a_check_that_can_not_be_executed_is_told_likewise_and_one_that_says_no_is_not(home):
    both = kept(home, ending_with({"docker": 126, "local": 127}), repeats=1, name="both").text
    assert "In 2 runs (" in both
    assert "the check ended with 126 or 127" in both
    assert "the check ended with" not in kept(home, ending_with({"docker": 1, "local": 0}), name="no").text
