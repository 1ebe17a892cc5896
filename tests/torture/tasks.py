"""What the runs do while they are harmed: an obedient double of the agent, or the real one by a script."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ccnb.engine import connect
from tests.conftest import AGENT_IMAGE, DOUBLES, build_agent_image, missing

NUMBERS = 40
COUNTING = f"i=0; while [ $i -lt {NUMBERS} ]; do say $i; i=$((i+1)); sleep 0.04; done"
TURNS = 6


@dataclass(frozen=True)
class Task:
    """A run's mode and options, and what its agent says."""

    mode: str
    agent: str
    options: dict[str, object]
    sayings: int
    variables: dict[str, str] = field(default_factory=dict)
    """The run's own."""
    environment: dict[str, str] = field(default_factory=dict)
    """The client's."""


def tasks(folder: Path, wanted: list[str] | None) -> list[Task]:
    """Return a task for each agent in each mode that is ready here.

    Parameters
    ----------
    folder
        Where the real agent's script is written to.
    wanted
        The modes to take; all when it is empty.
    """
    needs = {"docker": "docker", "podman": "podman", "local": "bubblewrap"}
    modes = [mode for mode, need in needs.items() if mode in (wanted or needs) and missing(need) is None]
    script = folder / "turns.yaml"
    script.write_text(_script())
    return [task for mode in modes for task in (_of_the_double(mode), _of_the_real_one(mode, script))]


def _of_the_double(mode: str) -> Task:
    options: dict[str, object] = {"mode": mode, "api": "script:demo", "check": "test -e made.txt"}
    environment = {}
    if mode == "local":
        environment["PATH"] = f"{DOUBLES / 'agent'}:{os.environ['PATH']}"
    else:
        build_agent_image(connect(mode))
        options["image"] = AGENT_IMAGE
    return Task(
        mode,
        "double",
        options,
        NUMBERS,
        {"AGENT": f"init; {COUNTING}; echo x >made.txt; result"},
        environment,
    )


def _of_the_real_one(mode: str, script: Path) -> Task:
    options: dict[str, object] = {"mode": mode, "api": f"script:{script}", "check": "test -e made.txt"}
    return Task(mode, "real", options, TURNS + 1)


def _script() -> str:
    tool = '[Bash: {command: "sleep 0.2; echo x >made.txt", description: make a file}]'
    turns = [f'- say: "{number}"\n  tools: {tool}\n' for number in range(TURNS)]
    return "".join(turns) + f'- say: "{TURNS}"\n'
