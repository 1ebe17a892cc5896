"""Fifty runs at once in one process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import ccnb
from bench import client, double
from bench.report import Figure

RUNS = 50
LIMIT_MB = 250
COMMANDS = "init; say one; sleep 1; say two; result"
EVENTS = 4


def figures() -> Iterator[Figure]:
    """Yield the runs that were lost, the client's memory, and the time beside that of plain containers."""
    if (why := double.missing("docker")) is not None:
        yield Figure.absent(f"{RUNS} runs at once, docker", "runs", why)
        return
    plain_s = _plain()
    lost, peak, took_s = client.in_own_process(_ours)
    what = f"{RUNS} runs at once, docker"
    yield Figure.below(f"{what}: lost", lost, "runs", 0, f"each with its {EVENTS} events")
    yield Figure.below(f"{what}: client's memory", peak, "MB", LIMIT_MB)
    yield Figure(
        f"{what}: wall time", took_s, "s", detail=f"{RUNS} `docker run --rm` at once: {plain_s:.1f} s"
    )


def _ours() -> tuple[int, float, float]:
    options = double.options("docker", COMMANDS)
    client.forget_peak()
    begun = time.perf_counter()
    handles = [ccnb.start(f"Task {number}", **options) for number in range(RUNS)]
    results = [handle.result() for handle in handles]
    took_s = time.perf_counter() - begun
    whole = [r for r in results if r.outcome == "success" and len(r.events) == EVENTS]
    return RUNS - len(whole), client.peak_mb(), took_s


def _plain() -> float:
    image = double.options("docker", COMMANDS)["image"]
    command = ["docker", "run", "--rm", "--init", "-e", "AGENT", image, "claude"]
    env = {**os.environ, "AGENT": COMMANDS}
    begun = time.perf_counter()
    processes = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(RUNS)]
    codes = [process.wait() for process in processes]
    took_s = time.perf_counter() - begun
    assert not any(codes), codes
    return took_s
