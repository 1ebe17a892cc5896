"""What a comparison adds to its runs, and how fast it sums them up."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ccnb
from bench import client, double, frames
from bench.report import Figure
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.spec import RunSpec
from ccnb.store import Store, comparisons

ROWS, ROWS_LIMIT_S = 10_000, 2
RUNS = int(os.environ.get("CCNB_BENCH_RUNS", "200"))
AT_ONCE = 8
RATIO, LIMIT_MB = 1.10, 250
_TRIES = 3
COMMANDS = "init; say one; sleep 0.5; say two; result"


def figures() -> Iterator[Figure]:
    """Yield the time of a summary, and that of many runs beside as many plain containers."""
    yield Figure.below(f"summary of {ROWS:,} runs", _summary(), "s", ROWS_LIMIT_S)
    what = f"{RUNS} runs, {AT_ONCE} at once, docker"
    if (why := double.missing("docker")) is not None:
        yield Figure.absent(what, "x", why)
        return
    # The first of each are on a cold machine; what else the machine does meets both alike.
    _plain(AT_ONCE)
    before_s = _plain(RUNS)
    lost, peak, took_s = client.in_own_process(_ours)
    plain_s = (before_s + _plain(RUNS)) / 2
    detail = f"{took_s:.1f} s; `xargs -P {AT_ONCE} docker run --rm`: {plain_s:.1f} s"
    yield Figure.below(f"{what}: wall time by that of plain containers", took_s / plain_s, "x", RATIO, detail)
    yield Figure.below(f"{what}: lost rows", lost, "rows", 0)
    yield Figure.below(f"{what}: client's memory", peak, "MB", LIMIT_MB)


def _summary() -> float:
    with tempfile.TemporaryDirectory(prefix="ccnb-bench-") as folder:
        (Path(folder) / "runs").mkdir()
        store = Store(Path(folder))
        modes = ("docker", "podman")
        arms = tuple(Arm({"mode": mode}, RunSpec(prompt="x", mode=mode)) for mode in modes)
        matrix = Matrix(arms=arms, axes={"mode": modes}, repeats=ROWS // 2, warmups=0, seed=1, concurrency=1)
        comparisons.add(store, "many", matrix.to_dict())
        for row in matrix.rows():
            record = frames.add_run(store, row.number)
            comparisons.add_attempt(store, "many", comparisons.Attempt(row.number, 0, record.run_id))
        return min(_summed(store) for _ in range(_TRIES))


def _summed(store: Store) -> float:
    begun = time.perf_counter()
    summed = ccnb.Comparison("many", store).summary()
    took_s = time.perf_counter() - begun
    assert list(summed["n"]) == [ROWS // 2] * 2
    return took_s


def _ours() -> tuple[int, float, float]:
    options = double.options("docker", COMMANDS)
    mode = options.pop("mode")
    client.forget_peak()
    begun = time.perf_counter()
    comparison = ccnb.compare(
        "Do it.", modes=[mode], repeats=RUNS, warmups=0, concurrency=AT_ONCE, name="bench", **options
    )
    took_s = time.perf_counter() - begun
    return RUNS - int(comparison.frame["counted"].sum()), client.peak_mb(), took_s


def _plain(runs: int) -> float:
    image = double.options("docker", COMMANDS)["image"]
    command = ["xargs", "-P", str(AT_ONCE), "-I{}", "docker", "run", "--rm", "--init", "-e", "AGENT"]
    begun = time.perf_counter()
    subprocess.run(
        [*command, image, "claude"],
        input="x\n" * runs,
        env={**os.environ, "AGENT": COMMANDS},
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return time.perf_counter() - begun
