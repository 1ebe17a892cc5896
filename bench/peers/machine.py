"""What a reader needs to judge the numbers: the machine, and the versions of what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psutil

import ccnb
from bench.peers.given import Given, said
from bench.peers.packages import Peer
from bench.report import conditions


def described(peers: Sequence[Peer]) -> dict[str, Any]:
    """Return the machine as it is now."""
    known = {name: value for name, value in conditions().items() if name not in ("load", "at", "cpus")}
    return {
        "begun_at": _now(),
        "cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "machine": platform.machine(),
        **{name: value for name, value in known.items() if value},
        "ccnb": ccnb.__version__,
        **{peer.package: peer.version or "not installed" for peer in peers},
        "load_at_begin": load(),
    }


def ended() -> dict[str, Any]:
    """Return what is known at the end only."""
    return {"ended_at": _now(), "load_at_end": load()}


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def agents(given: Given) -> dict[str, Any]:
    """Return the versions of the agent in the image and on this machine."""
    found = {}
    if given.image:
        found["claude in the image"] = said("docker", "run", "--rm", given.image, "claude", "--version")
    if given.program:
        found["claude of this machine"] = said(str(given.program), "--version")
    return {name: version.removesuffix(" (Claude Code)") for name, version in found.items()}
