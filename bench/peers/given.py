"""What all contestants are given alike: the model, the image, the agent, and how often they take turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import model
from bench.peers.child import Child
from bench.peers.packages import Peer
from ccnb import claude
from tests.conftest import DOUBLES

ROOT = Path(__file__).parents[2]
PERMITTED = "Bash"
_TOKENS = ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CONFIG_DIR")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    tasks: int = 8
    """Rounds of the whole task."""
    tick_rounds: int = 5
    ticks: int = 100
    at_once: Mapping[int, int] = field(default_factory=lambda: {1: 7, 8: 5, 32: 3})
    """Runs at once, and the rounds of them."""
    flood_rounds: int = 5
    flood_lines: int = 100_000
    removals: int = 3
    execs: int = 10
    frame_rounds: int = 7
    samples: int = 200
    imports: int = 10

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)


FULL = Sizes()
QUICK = Sizes(3, 2, 30, {1: 3, 8: 2}, 2, 20_000, 1, 5, 3, 50, 3)


@dataclass(frozen=True)
class Given:
    """The conditions of one session."""

    sizes: Sizes
    url: str
    """Where the scripted model answers."""
    home: Path
    """The home of all clients: nothing of the caller's."""
    program: Path | None
    """The `claude` of this machine, for what runs without a container."""
    image: str = ""
    """The project's own image, with the real agent."""
    double: str = ""
    """An image whose agent is a small shell program; it does what AGENT says."""
    no_engine: str = ""
    """Why there are no containers."""
    no_wall: str = ""
    """Why mode local has no wall here."""

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of every client."""
        kept = {name: value for name, value in os.environ.items() if name not in _TOKENS}
        docker = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
        return {
            **kept,
            **claude.QUIET,
            "ANTHROPIC_API_KEY": model.KEY,
            "ANTHROPIC_BASE_URL": self.url,
            "HOME": str(self.home),
            "DOCKER_CONFIG": docker,
            "MSWEA_SILENT_STARTUP": "1",
        }

    def ours(self, name: str, *, double: bool = False) -> Child:
        """Return this project as a client, with a store of its own; with the double as agent, if asked."""
        env = self.env | {"CCNB_HOME": str(self.home / name), "PYTHONPATH": str(ROOT)}
        if double:
            env["PATH"] = f"{DOUBLES / 'agent'}{os.pathsep}{env['PATH']}"
        return Child("ours", sys.executable, env)

    def by_hand(self) -> Child:
        """Return a client that runs commands."""
        return Child("by_hand", sys.executable, self.env)

    def bare(self) -> Child:
        """Return a client of the engine's API."""
        return Child("bare", sys.executable, self.env)

    def peer(self, program: str, peer: Peer) -> Child:
        """Return a peer as a client, in its own environment."""
        return Child(program, peer.python, self.env)

    def docker_run(self, image: str, *argv: str, more: tuple[str, ...] = ()) -> list[str]:
        """Return the command that one would type."""
        mount = ["-v", "{workspace}:/workspace", "-w", "/workspace"]
        passed = [part for name in self.passed for part in ("-e", name)]
        return ["docker", "run", "--rm", *mount, *passed, *more, image, *argv]

    @property
    def passed(self) -> dict[str, str]:
        """Return the variables that the agent in a container needs."""
        names = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", *claude.QUIET)
        return {name: self.env[name] for name in names}


def agent(*permission: str) -> list[str]:
    """Return the agent's command with its prompt."""
    return ["claude", "-p", "--output-format=stream-json", "--verbose", *permission, model.PROMPT]


def double_run(image: str, commands: str) -> dict[str, Any]:
    """Return our options for a run in a container whose agent does shell commands."""
    return {"prompt": "Do it", "mode": "docker", "auth": "env", "image": image, "env": {"AGENT": commands}}


def said(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
