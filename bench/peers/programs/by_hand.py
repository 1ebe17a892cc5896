"""A command as one runs it by hand, read from a pipe line by line: `docker run`, or `claude` itself."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import wire

_WORKSPACE = "{workspace}"
"""What the folder of a run stands for in a command."""


def task(command: list[str]) -> dict[str, float]:
    """Return when the first event, the result event and the end came, in seconds from the start."""
    taken: dict[str, float] = {}
    begun = time.perf_counter()
    for event in _events(command):
        at = time.perf_counter() - begun
        taken.setdefault("first_s", at)
        if event["type"] == "result":
            taken["result_s"] = at
    taken["returned_s"] = time.perf_counter() - begun
    taken["result_s"]
    # `--rm`: the command ends when the container is gone.
    return taken | {"gone_s": taken["returned_s"]}


def ticks(command: list[str]) -> dict[str, Any]:
    """Return for each event that says when it was written how long it took to here."""
    delays = [
        (time.time() - event["t"]) * 1000 for event in _events(command) if event.get("subtype") == "tick"
    ]
    return {"delays_ms": delays}


def many(command: list[str], runs: int, events: int) -> dict[str, float]:
    """Return the time until so many commands, begun at once, have given all events and ended."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(runs) as pool:
        counts = list(pool.map(lambda _: sum(1 for _ in _events(command)), range(runs)))
    took_s = time.perf_counter() - begun
    if counts != [events] * runs:
        raise ValueError(f"{counts} events came, not {events} each")
    return {"took_s": took_s}


def flood(command: list[str], lines: int) -> dict[str, float]:
    """Return how fast numbered lines came, and the peak of the command's own memory."""
    count, first, last, usage = 0, 0.0, 0.0, {}
    for event in _events(command, usage):
        if "n" in event:
            if event["n"] != count:
                raise ValueError(f"line {event['n']} came where {count} was due")
            count += 1
            last = time.perf_counter()
            first = first or last
    if count != lines:
        raise ValueError(f"{count} lines came, not {lines}")
    return {"lines_per_s": (lines - 1) / (last - first), "peak_mb": usage["peak_mb"]}


def _events(command: list[str], usage: dict[str, float] | None = None) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="by-hand-", ignore_cleanup_errors=True) as workspace:
        Path(workspace).chmod(0o777)
        argv = [part.replace(_WORKSPACE, workspace) for part in command]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=workspace)
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        _, status, resources = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
        if usage is not None:
            usage["peak_mb"] = resources.ru_maxrss / 1024


if __name__ == "__main__":
    wire.serve(task, ticks, many, flood)
