"""Runs whose agent does as it is told: what is measured is then our own share, and nothing else."""

from __future__ import annotations

import os
from typing import Any

from ccnb.errors import CcnbError
from ccnb.mode import _bubblewrap
from tests.conftest import DOUBLES, agent_image


def options(mode: str, commands: str) -> dict[str, Any]:
    """Return options for a run whose agent runs some shell commands (tests/doubles/agent/claude)."""
    common: dict[str, Any] = {"mode": mode, "api": "script:demo", "env": {"AGENT": commands}}
    if mode != "local":
        return {**common, "image": agent_image(mode)}
    folder = str(DOUBLES / "agent")
    if folder not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]
    return common


def missing(mode: str) -> str | None:
    """Return why a mode can't be measured here."""
    if mode == "local":
        return _bubblewrap.fault()
    try:
        agent_image(mode)
    except CcnbError as error:
        return error.message
    return None
