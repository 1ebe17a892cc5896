"""Arms in shuffled blocks, and what the numbers say of them."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

import ccnb
from ccnb.comparison import fate
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.spec import RunSpec
from tests.comparison.client import VARIANTS, compare
from tests.conftest import agent_image

ARMS = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in ("docker", "podman", "local"))


def matrix(**more):
    given = {"repeats": 20, "warmups": 1, "seed": 7, "concurrency": 1} | more
    return Matrix(arms=ARMS, axes={"mode": ("docker", "podman", "local")}, **given)


def test_every_block_has_every_arm_once_in_an_order_of_its_own():
    rows = matrix().rows()
    blocks = [[row.arm for row in rows if row.block == block] for block in range(1, 21)]
    assert all(sorted(block) == [0, 1, 2] for block in blocks)
    assert len({tuple(block) for block in blocks}) > 3
    assert [row.arm for row in rows if row.warmup] == [0, 1, 2]
    assert [row.number for row in rows] == list(range(63))


def test_the_seed_decides_the_order_and_nothing_else():
    assert matrix().rows() == matrix().rows()
    assert matrix().rows() != matrix(seed=8).rows()
    assert matrix().fingerprint() == matrix(seed=8).fingerprint()
    assert matrix().fingerprint() != matrix(repeats=21).fingerprint()


def test_a_matrix_comes_back_from_what_is_written_of_it():
    limited = matrix(concurrency=3, limits={"docker": 2, "local": 1})
    assert Matrix.from_dict(matrix().to_dict()) == matrix()
    assert Matrix.from_dict(limited.to_dict()) == limited
    older = {name: value for name, value in matrix().to_dict().items() if name != "limits"}
    assert Matrix.from_dict(older) == matrix()


def test_how_many_go_on_at_once_is_no_other_matrix():
    assert matrix().fingerprint() == matrix(concurrency=3, limits={"docker": 2, "local": 1}).fingerprint()


def test_what_fails_around_the_agent_is_no_outcome_of_an_arm():
    assert [fate.counts(o) for o in ("success", "agent_error", "timeout", "max_turns", "budget")] == [
        True
    ] * 5
    assert [fate.counts(o) for o in ("infrastructure", "lost", "wedged", "cancelled")] == [False] * 4
    assert not fate.counts("budget", "compare-x")
    assert fate.may_pass("overloaded")
    assert not fate.may_pass("authentication_failed")


def test_the_pause_grows_and_differs_from_row_to_row():
    pauses = [fate.pause_s("overloaded", tries) for tries in (1, 1, 1, 3)]
    assert len(set(pauses)) == 4
    assert pauses[3] > max(pauses[:3])
    assert fate.pause_s("rate_limit", 30) <= 120


@pytest.mark.needs("bubblewrap")
def test_a_slower_arm_is_found_and_told(obedient):
    # So much slower that a stall of one quick run leaves the difference where it is.
    slow = {"env": {"AGENT": "init; echo x >> made; sleep 1.5; say one; result"}}
    comparison = compare("found", repeats=8, warmups=1, variants=VARIANTS | {"slow": slow})
    frame = comparison.frame
    assert len(frame) == 17
    assert frame["warmup"].sum() == 1
    assert frame["counted"].sum() == 16
    assert set(frame["concurrency"]) == {1}
    assert set(frame["seed"]) == {comparison.seed}
    found = comparison.contrast("variant", "quick", "slow", metric="agent_s")
    assert found.is_found
    assert found.difference.estimate > 1.5
    assert "agent_s: slow has" in str(found)
    assert "quick has" in str(comparison.contrast("variant", "slow", "quick", metric="agent_s"))
    assert "no evidence of a difference" in str(
        comparison.contrast("variant", "quick", "slow", metric="passed")
    )
    summary = comparison.summary()
    assert list(summary["arm"]) == ["quick", "slow"]
    assert list(summary["n"]) == [8, 8]
    assert "All of these passed." in comparison.text
    assert "in 8 shuffled blocks" in comparison.text
    assert list(comparison.agreement()["verdict"]) == [1.0, 1.0]
    html = comparison._repr_html_()
    assert "data:image/png;base64," in html
    assert "<script" not in html
    difference = comparison.diff(1, 2)
    assert difference.workspace == ""
    for wrong in ({"axis": "variants"}, {"b": "slwo"}, {"metric": "wall"}, {"b": "quick"}):
        with pytest.raises(ccnb.CcnbError):
            comparison.contrast(**{"axis": "variant", "a": "quick", "b": "slow"} | wrong)


@pytest.mark.needs("bubblewrap")
def test_every_run_has_a_copy_of_the_workspace_of_its_own(obedient, tmp_path):
    (tmp_path / "made").write_text("")
    comparison = compare("copies", repeats=2, workspace=tmp_path)
    assert (tmp_path / "made").read_text() == ""
    assert {result.workspace.joinpath("made").read_text() for result in comparison.results()} == {"x\n"}


@pytest.mark.needs("bubblewrap")
def test_what_failed_for_other_reasons_stands_apart_and_each_try_is_kept(obedient):
    broken = {"good": VARIANTS["quick"], "bad": VARIANTS["quick"] | {"setup": "exit 3"}}
    comparison = compare("apart", repeats=2, variants=broken)
    assert list(comparison.frame.groupby("arm")["counted"].sum()) == [0, 2]
    failures = comparison.failures()
    assert set(failures["error_kind"]) == {"setup_failed"}
    assert len(failures) == 2
    summary = comparison.summary().set_index("arm")
    assert summary.loc["bad", "n"] == 0
    assert summary.loc["bad", "apart"] == 2
    assert "2 rows failed for reasons that were not the agent's." in comparison.text
    compare("apart", repeats=2, variants=broken)
    assert list(ccnb.Comparison("apart").failures()["attempt"]) == [0, 1, 0, 1]


OVERLOADED = (
    '{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error",'
    '"api_error_status":529,"result":"Overloaded","num_turns":1}'
)


@pytest.mark.needs("bubblewrap")
def test_an_api_that_is_overloaded_is_asked_again_and_both_tries_are_kept(obedient, tmp_path):
    agent = f"init; if mkdir {tmp_path}/asked; then echo '{OVERLOADED}'; else result; fi"
    variants = {"one": {"env": {"AGENT": agent}}}
    comparison = compare("retried", repeats=1, variants=variants, isolation="none")
    assert list(comparison.frame["counted"]) == [True]
    assert comparison.frame.loc[0, "attempts"] == 2
    failures = comparison.failures()
    assert set(failures["error_kind"]) == {"overloaded"}
    assert not failures["counted"].any()


@pytest.mark.needs("bubblewrap")
def test_several_at_once_are_recorded_as_such(obedient):
    comparison = compare("at-once", repeats=4, concurrency=4)
    assert comparison.frame["concurrency"].max() > 1
    assert "4 at once" in comparison.text
    assert any("slow each other down" in warning for warning in comparison.warnings)


def most_at_once(frame):
    """Return how many of some runs went on at the same time at most."""
    begun = frame["started_at"]
    ended = begun + pd.to_timedelta(frame["wall_s"], unit="s")
    return max(int(((begun <= at) & (at < ended)).sum()) for at in begun)


@pytest.mark.needs("docker", "podman")
def test_each_mode_keeps_to_its_own_number_at_once(agent):
    options = agent("docker", "init; sleep 1; result")
    image = agent_image("podman")
    assert image == options["image"]
    comparison = ccnb.compare(
        "Do it.",
        repeats=4,
        warmups=0,
        concurrency={"docker": 3},
        **options | {"mode": "docker,podman"},
    )
    frame = comparison.frame
    assert frame["counted"].all()
    assert most_at_once(frame[frame["mode"] == "podman"]) == 1
    assert most_at_once(frame[frame["mode"] == "docker"]) == 3
    assert "4 at once (3 in docker, 1 in podman)" in comparison.text


@pytest.mark.needs("bubblewrap")
def test_the_coroutine_gives_the_same(obedient):
    async def both():
        options = {"modes": ["local"], "variants": VARIANTS, "api": "script:demo"}
        return await asyncio.gather(
            ccnb.acompare("Do it.", name="one", **options), ccnb.acompare("Do it.", name="two", **options)
        )

    assert [comparison.frame["counted"].sum() for comparison in asyncio.run(both())] == [2, 2]
