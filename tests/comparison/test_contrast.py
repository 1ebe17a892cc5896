"""What is said of two arms holds for all that were looked at together."""

from __future__ import annotations

import math

import ccnb
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.kept import keep_comparison

MODES = ("docker", "podman", "local")


def kept(home, repeats):
    """Keep a comparison of three modes of which `local` is twice as fast, in every block."""
    arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in MODES)
    matrix = Matrix(arms=arms, axes={"mode": MODES}, repeats=repeats, warmups=0, seed=1, concurrency=1)

    def facts(row):
        return {"wall_s": (1.0 if MODES[row.arm] == "local" else 2.0) + 0.01 * math.sin(row.number)}

    keep_comparison(Store(home), f"of-{repeats}", matrix, facts)
    return ccnb.Comparison(f"of-{repeats}")


def test_six_pairs_show_nothing_among_six_contrasts_and_eight_do(home):
    six, eight = kept(home, 6), kept(home, 8)
    said = [str(one) for one in six.contrasts() if one.metric == "wall_s"]
    assert all("can't show any difference among 6 (8 are needed)" in text for text in said)
    found = {(one.a, one.b) for one in eight.contrasts() if one.is_found}
    assert found == {("docker", "local"), ("podman", "local")}


def test_what_would_have_been_found_is_said_for_the_whole_family(home):
    comparison = kept(home, 12)
    alone = comparison.contrast("mode", "docker", "podman")
    among = next(one for one in comparison.contrasts() if one.metric == "wall_s")
    assert (among.a, among.b) == (alone.a, alone.b)
    assert alone.family == 3
    assert among.family == 6
    assert among.detectable > alone.detectable


def test_a_large_difference_is_told_in_plain_digits(home):
    arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in MODES[:2])
    matrix = Matrix(arms=arms, axes={"mode": MODES[:2]}, repeats=8, warmups=0, seed=1, concurrency=1)
    # In one half of the blocks the second arm takes 2,000 times as long as the first; in the other as long.
    keep_comparison(
        Store(home), "far", matrix, lambda row: {"wall_s": 4000.0 if row.arm and row.number % 4 < 2 else 2.0}
    )
    comparison = ccnb.Comparison("far")
    contrast = comparison.contrast("mode", "docker", "podman")
    assert contrast.detectable > 1
    assert contrast.difference.high > 1000
    assert "e+" not in str(contrast)
    assert "e+" not in str(comparison)
