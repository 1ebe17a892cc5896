"""A/A: many real runs of one arm, relabelled at random into two. What is claimed then is claimed wrongly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.stats import binom

import ccnb
from bench import client, double, stopping
from bench.report import Figure
from ccnb import stats
from ccnb.frames.compared import Frame
from ccnb.store import Store
from tests.modelapi import API_KEY, DO_IT, ModelApi

RUNS = int(os.environ.get("CCNB_BENCH_AA_RUNS", "200"))
LABELLINGS, RESAMPLES = 1_000, 499
METRICS = ("wall_s", "start_s", "agent_s")
RATE = 0.05
SLOWER, PAIRS, FOUND = 0.10, 30, 0.8
PROMPT = "Make two files."


def figures() -> Iterator[Figure]:
    """Yield how often a difference is claimed where none is, and how often one that was planted is found."""
    yield from _real()
    yield from stopping.figures()


def _real() -> Iterator[Figure]:
    if (why := double.missing("docker")) is not None:
        yield Figure.absent(f"A/A of {RUNS} runs, docker", "%", why)
        return
    frame = client.in_own_process(_runs)
    limit = 100 * float(binom.ppf(0.975, LABELLINGS, RATE)) / LABELLINGS
    for metric in METRICS:
        values = frame[metric].to_numpy(dtype=float)
        spread = f"median {np.median(values):.2f} s, spread {100 * values.std() / values.mean():.1f} %"
        what = f"A/A of {len(values)} runs, docker, {metric}: a difference is claimed"
        detail = f"{LABELLINGS:,} relabellings; {spread}; the limit is 5 % with its binomial error"
        yield Figure.below(what, 100 * claims(values, LABELLINGS), "%", limit, detail)
    values = frame["wall_s"].to_numpy(dtype=float)
    pairs = min(PAIRS, len(values) // 2)
    share = planted(values, LABELLINGS, pairs, SLOWER)
    what = f"{SLOWER:.0%} slower, planted, is found with {pairs} pairs"
    yield Figure(
        what, 100 * share, "%", f"≥ {100 * FOUND:g}", share >= FOUND, f"{LABELLINGS:,} draws of wall_s"
    )


def claims(values: np.ndarray, labellings: int, *, seed: int = 0) -> float:
    """Return the share of random labellings of one arm's runs as two that show a difference."""
    return planted(values, labellings, len(values) // 2, 0.0, seed=seed)


def planted(values: np.ndarray, labellings: int, pairs: int, effect: float, *, seed: int = 0) -> float:
    """Return the share of random labellings in which one half, made slower, shows a difference."""
    rng, found = np.random.default_rng(seed), 0
    for number in range(labellings):
        drawn = rng.permutation(values)[: 2 * pairs]
        slower = drawn[pairs:] * (1 + effect)
        found += stats.difference(drawn[:pairs], slower, seed=number, resamples=RESAMPLES).p <= RATE
    return found / labellings


def _runs() -> Frame:
    """Record one run, then replay it in docker, one at a time; return the rows that count."""
    home = Store().home
    cassette = home / "aa.jsonl"
    with _account() as account:
        os.environ.update(account)
        ccnb.run(PROMPT, mode="docker", api=f"record:{cassette}").raise_for_error()
    for name in account:
        del os.environ[name]
    comparison = ccnb.compare(
        PROMPT, modes=["docker"], api=f"replay:{cassette}", network="none", repeats=RUNS, name="aa"
    )
    frame = comparison.frame
    counted = frame[frame["counted"] & (frame["outcome"] == "success")]
    assert len(counted) == RUNS, comparison.failures()
    return counted


@contextmanager
def _account() -> Iterator[dict[str, str]]:
    """Give the account of a server of our own."""
    with ModelApi(DO_IT) as api:
        yield {"ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": api.url}
