"""What the runs of a comparison could have shown, and how many it would take."""

from __future__ import annotations

import math

import pytest

import ccnb
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.results import CheckResult
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.kept import keep_comparison

MODES = ("docker", "local")


def kept(home, repeats, facts):
    """Keep a comparison of two modes; `facts` gives what a row is told by from its arm and its block."""
    arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in MODES)
    matrix = Matrix(arms=arms, axes={"mode": MODES}, repeats=repeats, warmups=0, seed=1, concurrency=1)
    keep_comparison(Store(home), "kept", matrix, lambda row: facts(row.arm, row.block))
    return ccnb.Comparison("kept")


def passing(rates, repeats):
    """Return facts of runs that pass so often."""

    def facts(arm, block):
        return {"check": CheckResult("true", int(block > rates[arm] * repeats), "")}

    return facts


def test_it_is_that_of_the_tables_for_the_spread_that_the_runs_have(home):
    # Cohen 1988: 34 pairs find a difference of half a standard deviation within pairs in 0.808 of all
    # experiments. The logarithms of these times lie so far apart that within pairs it is 1 and 2.
    away = [wanted / math.sqrt(2) * math.sqrt(33 / 34) for wanted in (1, 2)]
    comparison = kept(home, 34, lambda arm, block: {"wall_s": math.exp(away[arm] * (-1) ** block)})
    docker, local = comparison.power(math.expm1(0.5)).to_dict("records")
    assert (docker["arm"], docker["repeats"], docker["repeats_needed"]) == ("docker", 34, 34)
    assert docker["spread"] == pytest.approx(1 / math.sqrt(2))
    assert docker["power"] == pytest.approx(0.8078, abs=1e-4)
    assert docker["detectable"] == pytest.approx(math.expm1(0.5), rel=0.02)
    assert local["spread"] == pytest.approx(2 / math.sqrt(2))
    # Twice as far apart, it takes about four times as many.
    assert local["repeats_needed"] == pytest.approx(4 * 34, rel=0.1)


def test_of_a_pass_rate_it_is_told_in_points(home):
    comparison = kept(home, 20, passing((1.0, 0.5), 20))
    docker, local = comparison.power(0.4, metric="passed").to_dict("records")
    # Where all pass, pairs differ one way round only: six of twenty are enough, and 40 % of them differ.
    six = sum(math.comb(20, k) * 0.4**k * 0.6 ** (20 - k) for k in range(6, 21))
    assert docker["power"] == pytest.approx(six)
    assert docker["detectable"] == pytest.approx(0.37, abs=0.02)
    assert 17 <= docker["repeats_needed"] <= 20
    assert (docker["spread"], local["spread"]) == (0.0, 0.5)
    # From the middle it takes more.
    assert local["power"] < docker["power"]
    assert local["repeats_needed"] > docker["repeats_needed"]


def test_a_pass_rate_can_not_change_by_more_than_there_is_room_for(home):
    comparison = kept(home, 6, passing((0.5, 0.5), 6))
    power = comparison.power(0.6, metric="passed")
    assert power["power"].isna().all()
    assert power["repeats_needed"].isna().all()


def test_no_evidence_of_another_pass_rate_ends_with_what_would_have_been_found(home):
    contrast = kept(home, 20, passing((1.0, 0.9), 20)).contrast("mode", "docker", "local", metric="passed")
    assert not contrast.is_found
    assert contrast.detectable == pytest.approx(0.4, abs=0.05)
    points = f"{100 * contrast.detectable:.2g} points"
    assert str(contrast).endswith(f"20 pairs); one of {points} would have been found four times in five")
