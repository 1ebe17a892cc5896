"""How many runs go on at once: what was asked for, else what suits the model, the machine, the workers."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor

import pytest

from ccnb.comparison.request import at_once
from ccnb.errors import SpecError
from ccnb.gateway import process as gateway
from tests.comparison.client import compare
from tests.comparison.test_elsewhere import live_in
from tests.modelapi import API_KEY, ModelApi

MODES = ("docker", "fly")


@pytest.mark.parametrize(
    ("asked", "concurrency", "limits"),
    [
        (None, 4, {}),
        (2, 2, {}),
        ({"docker": 2, "fly": 8}, 10, {"docker": 2, "fly": 8}),
        ({"fly": 8}, 12, {"docker": 4, "fly": 8}),
        ({"fly": None}, 8, {"docker": 4, "fly": 4}),
    ],
)
def test_a_number_is_for_all_and_a_mapping_for_each_mode(asked, concurrency, limits):
    assert at_once(asked, MODES, usual=4) == {"concurrency": concurrency, "limits": limits}


@pytest.mark.parametrize(
    ("asked", "said"),
    [("flly", "did you mean 'fly'?"), ("sandbox", "is no mode of this comparison; there are docker, fly")],
)
def test_a_limit_of_a_mode_that_is_not_compared_is_told(asked, said):
    with pytest.raises(SpecError) as caught:
        at_once({asked: 2}, MODES, usual=4)
    assert said in caught.value.message


@pytest.mark.needs("bubblewrap")
def test_with_a_real_model_there_is_one_for_each_processor(obedient, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
    with ModelApi() as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        comparison = compare("live", repeats=1, api="live", auth="gateway")
    number = os.cpu_count()
    assert ("one at a time" if number == 1 else f"{number} at once") in comparison.text


class Workers(Executor):
    """Workers that don't say how many they are, as a cluster's don't."""

    def __init__(self, pool):
        self._pool = pool

    def submit(self, function, /, *args, **kwargs):
        return self._pool.submit(function, *args, **kwargs)


@pytest.mark.needs("bubblewrap")
def test_workers_that_do_not_say_how_many_they_are_get_eight(obedient, tmp_path):
    context = multiprocessing.get_context("spawn")
    far = tmp_path / "far"
    with ProcessPoolExecutor(2, context, initializer=live_in, initargs=(str(far),)) as pool:
        comparison = compare("far", repeats=1, executor=Workers(pool))
    gateway.stop(far)
    assert comparison.frame["counted"].all()
    assert "8 at once" in comparison.text
