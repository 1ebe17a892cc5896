"""The container and the agent, and nothing else: create, start and wait through the engine's API."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
import wire


def task(image: str, argv: list[str], env: dict[str, str]) -> dict[str, float]:
    """Return how long it took until the agent had ended; nothing is read, collected or removed."""
    api = _api()
    with tempfile.TemporaryDirectory(prefix="bare-", ignore_cleanup_errors=True) as workspace:
        Path(workspace).chmod(0o777)
        begun = time.perf_counter()
        host = api.create_host_config(binds=[f"{workspace}:/workspace"])
        made = api.create_container(image, argv, environment=env, working_dir="/workspace", host_config=host)[
            "Id"
        ]
        api.start(made)
        code = api.wait(made)["StatusCode"]
        took_s = time.perf_counter() - begun
        api.remove_container(made, force=True)
    if code:
        raise RuntimeError(f"the agent ended with {code}")
    return {"returned_s": took_s}


@functools.cache
def _api() -> Any:
    return docker.from_env().api


if __name__ == "__main__":
    wire.serve(task)
