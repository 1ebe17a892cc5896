"""mini-swe-agent's docker environment as a client: a container, and each command by an exec of its own."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import wire
from minisweagent.environments.docker import DockerEnvironment


def task(image: str, commands: list[str]) -> dict[str, float]:
    """Return when the last command's output was there and when `cleanup` returned, in seconds."""
    begun = time.perf_counter()
    place = DockerEnvironment(image=image)
    for command in commands:
        _execute(place, command)
    result_s = time.perf_counter() - begun
    place.cleanup()
    returned_s = time.perf_counter() - begun
    _remove(place)
    return {"result_s": result_s, "returned_s": returned_s}


def gone(image: str, commands: list[str]) -> dict[str, float]:
    """Return when nothing of it was left, by the peer's own clean-up."""
    begun = time.perf_counter()
    place = DockerEnvironment(image=image)
    for command in commands:
        _execute(place, command)
    place.cleanup()
    while _there(place):
        time.sleep(0.02)
    took_s = time.perf_counter() - begun
    place.container_id = None
    return {"gone_s": took_s}


def many(image: str, command: str, runs: int) -> dict[str, float]:
    """Return the time until so many, begun at once, have their output and have been told to go."""

    def one(_: int) -> Any:
        place = DockerEnvironment(image=image, pull_timeout=300, timeout=300)
        _execute(place, command)
        place.cleanup()
        return place

    begun = time.perf_counter()
    with ThreadPoolExecutor(runs) as pool:
        places = list(pool.map(one, range(runs)))
    took_s = time.perf_counter() - begun
    for place in places:
        _remove(place)
    return {"took_s": took_s}


def flood(image: str, command: str, lines: int) -> dict[str, float]:
    """Return how fast a command's lines came, all of them at its end, and the peak of the memory."""
    place = DockerEnvironment(image=image, timeout=300)
    wire.forget_peak()
    begun = time.perf_counter()
    output = _execute(place, command)
    took_s = time.perf_counter() - begun
    count = output.count("\n")
    peak_mb = wire.peak_mb()
    _remove(place)
    if count != lines:
        raise ValueError(f"{count} lines came, not {lines}")
    return {"lines_per_s": lines / took_s, "peak_mb": peak_mb}


def execs(image: str, command: str, times: int) -> dict[str, Any]:
    """Return how long each of some commands took."""
    place = DockerEnvironment(image=image)
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        _execute(place, command)
        took.append((time.perf_counter() - begun) * 1000)
    _remove(place)
    return {"took_ms": took}


def _execute(place: Any, command: str) -> str:
    done = place.execute({"command": command})
    if done["returncode"]:
        raise RuntimeError(f"{command!r} ended with {done['returncode']}: {done['exception_info']}")
    return done["output"]


def _remove(place: Any) -> None:
    """Remove it at once: the peer's own clean-up takes ten seconds, and is measured elsewhere."""
    subprocess.run(["docker", "rm", "-f", place.container_id], check=False, capture_output=True)
    while _there(place):
        time.sleep(0.02)
    place.container_id = None


def _there(place: Any) -> bool:
    look = ["docker", "container", "inspect", place.container_id]
    return subprocess.run(look, check=False, capture_output=True).returncode == 0


if __name__ == "__main__":
    wire.serve(task, gone, many, flood, execs)
