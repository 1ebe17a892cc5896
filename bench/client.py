"""A client of its own for a measurement, and what it takes of the machine's memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from bench.report import Figure

P = ParamSpec("P")
T = TypeVar("T")


def in_own_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a fresh interpreter, which ends in good order, its removals included."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def take(figures: Callable[[], Iterator[Figure]]) -> list[Figure]:
    """Return all figures of a subject, saying each as it comes."""
    taken = []
    for figure in figures():
        print(f"  {figure}", flush=True)
        taken.append(figure)
    return taken


def rss_mb() -> float:
    """Return the memory of this process that is in use."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Let the kernel count the highest use of memory from now on (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the highest use of memory since `forget_peak`."""
    return _status("VmHWM")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)
