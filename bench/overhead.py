"""Our own share of a run: `ccnb.run` against `docker run --rm` of the same image, argv and mount."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccnb
from bench.report import Figure
from ccnb import claude
from ccnb.engine import default_reference
from ccnb.spec import RunSpec

PAIRS = 24
# The real program, on its shortest way through: a longer task would only hide our share.
ARGUMENTS = ("--version",)


def figures() -> Iterator[Figure]:
    """Yield the ratio with a bridge and with no network."""
    for network, target in (("open", 0.95), ("none", 0.8)):
        ratios, ours, theirs = _pairs(network)
        yield Figure(
            name=f"ccnb.run / docker run --rm ({'bridge' if network == 'open' else 'no network'})",
            value=statistics.median(ratios),
            unit="ratio",
            target=f"<= {target}",
            met=statistics.median(ratios) <= target,
            detail=f"{PAIRS} pairs; medians {statistics.median(ours):.3f} s and {statistics.median(theirs):.3f} s",
        )


def _pairs(network: str) -> tuple[list[float], list[float], list[float]]:
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        (workspace / "file.txt").write_text("something\n")
        for number in range(-2, PAIRS):
            # The order alternates, and what one leaves for the other to wait for has ended.
            first, second = (_ours, _theirs) if number % 2 else (_theirs, _ours)
            took = {}
            for run in (first, second):
                took[run] = run(workspace, network)
                _settle()
            if number >= 0:
                ours.append(took[_ours])
                theirs.append(took[_theirs])
    return [a / b for a, b in zip(ours, theirs, strict=True)], ours, theirs


def _ours(workspace: Path, network: str) -> float:
    begun = time.perf_counter()
    options: dict[str, Any] = {"api": "script:demo"}
    ccnb.run("Do it", mode="docker", workspace=str(workspace), network=network, extra_args=ARGUMENTS, **options)
    return time.perf_counter() - begun


def _theirs(workspace: Path, network: str) -> float:  # noqa: ARG001 - the baseline has docker's own network
    argv = claude.argv(RunSpec(prompt="Do it", extra_args=ARGUMENTS), claude.BYPASS)
    begun = time.perf_counter()
    subprocess.run(
        ["docker", "run", "--rm", "-v", f"{workspace}:/workspace", default_reference(), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def _settle() -> None:
    """Wait until the removal that goes on behind a result has ended."""
    ours = ["docker", "ps", "-aq", "--filter", f"ancestor={default_reference()}"]
    while subprocess.run(ours, capture_output=True, check=True).stdout.strip():
        time.sleep(0.02)
