"""Under which conditions rows went on: each says so, and the model can be made one of them."""

from __future__ import annotations

import os

import pandas as pd
import pytest

import ccnb
from ccnb.engine import connect
from tests.modelapi import API_KEY, DO_IT, ModelApi

PROMPT = "Make two files."
BETWEEN_MACHINES_S = 1.0


@pytest.mark.needs("docker")
def test_every_row_says_on_what_it_ran(agent):
    comparison = ccnb.compare("Do it.", repeats=2, seed=7, **agent("docker", "init; result"))
    engine = connect("docker")
    image = engine.api.inspect_image(agent("docker", "")["image"])["Id"]
    for row in comparison.frame.to_dict("records"):
        assert row["counted"] is not row["warmup"]
        assert row["image_digest"] == image
        assert row["engine"] == f"docker {engine.version}"
        assert row["agent_version"] == "0"
        assert row["model_served"] == "m"
        assert row["host_load"] >= 0
        assert row["cpus"] == os.cpu_count()
        assert row["concurrency"] == 1
        assert row["seed"] == 7
    assert list(comparison.frame["warmup"]) == [True, False, False]


@pytest.fixture
def cassette(home, tmp_path, monkeypatch):
    """Record a task once; afterwards there is neither an API nor a credential."""
    tape = tmp_path / "tape.jsonl"
    with ModelApi(DO_IT) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        ccnb.run(PROMPT, mode="local", api=f"record:{tape}").raise_for_error()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    return tape


@pytest.mark.needs("docker", "bubblewrap")
def test_by_a_cassette_the_model_is_the_same_in_all_modes(cassette):
    comparison = ccnb.compare(PROMPT, modes=["docker", "local"], api=f"replay:{cassette}", repeats=2)
    frame = comparison.frame
    assert frame.loc[~frame["warmup"], "counted"].all()
    # A constant model: a warm-up run of each mode, and one at a time.
    assert frame["warmup"].sum() == 2
    assert set(frame["concurrency"]) == {1}
    assert set(frame["num_files"]) == {2}
    for alike in ("model_served", "num_turns", "input_tokens", "output_tokens", "total_cost_usd"):
        assert frame[alike].nunique() == 1, alike
    agreement = comparison.agreement()
    assert (agreement[["verdict", "files", "answers"]] == 1.0).all(axis=None)


@pytest.mark.needs("docker")
def test_machines_far_away_are_made_one_after_the_other_though_several_go_on_at_once(fly_platform, agent):
    comparison = ccnb.compare(
        "Do it.", repeats=3, concurrency=3, warmups=0, **agent("fly", "init; sleep 4; result")
    )
    frame = comparison.frame
    assert frame["counted"].all()
    assert set(frame["engine"].str.partition(" ")[0]) == {"fly"}
    begun = frame["started_at"].sort_values()
    ended = begun + pd.to_timedelta(frame.loc[begun.index, "wall_s"], unit="s")
    assert begun.iloc[2] < ended.iloc[0], "they went on at once"
    assert (begun.diff().dropna().dt.total_seconds() > BETWEEN_MACHINES_S).all()
