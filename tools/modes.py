"""The modes side by side: what each says of itself, and what was measured of those that are ready here."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import ccnb

MODES = ("sandbox", "docker", "podman", "local", "fly")
_ROWS = {
    "where": "Where",
    "isolation": "Isolation",
    "auth": "Your token, by default",
    "auths": "Ways for it (`auth=`)",
    "workspace": "Workspace",
    "state": "State",
    "cost": "Cost",
    "platform": "Platform",
}
_ABSENT = {
    "sandbox": "not measured: needs Docker's sandboxes",
    "fly": "not measured: needs an account",
}
_REPEATS = 12
_FIGURES = {
    "begin_s": "Until the agent is started",
    "around_s": "All that is not the agent's",
    "wall_s": "The whole demo task",
}

# A machine that has none of the programs but bubblewrap's name, or not even that.
_PROBE = """
import asyncio, json, sys
from ccnb import mode
from ccnb.fly.settings import Settings
from ccnb.mode import fly

def facts(name):
    one = mode.get(name)
    if name == "fly":
        return one.facts(Settings.find())
    return one.facts() if hasattr(one, "facts") else asyncio.run(one.probe()).facts

print(json.dumps({name: facts(name) | {"auths": ", ".join(mode.auths(name))} for name in sys.argv[1:]}))
"""


def table(measured: dict[str, Any]) -> str:
    """Return the comparison of the modes in Markdown, with what was measured and on which machine."""
    found = facts()
    lines = ["| | " + " | ".join(f"[`{name}`]({name}.md)" for name in MODES) + " |", "|---" * 6 + "|"]
    lines += [_row(heading, (found[name][row] for name in MODES)) for row, heading in _ROWS.items()]
    lines += [
        _row(heading, (_figure(measured["modes"].get(name), row, name) for name in MODES))
        for row, heading in _FIGURES.items()
    ]
    return "\n".join([*lines, "", _conditions(measured)])


def facts() -> dict[str, dict[str, str]]:
    """Return what each mode says of itself, whatever is installed here."""
    with tempfile.TemporaryDirectory() as folder:
        bare, walled = Path(folder, "bare"), Path(folder, "walled")
        bare.mkdir()
        walled.mkdir()
        wall = walled / "bwrap"
        wall.write_text("#!/bin/sh\n")
        wall.chmod(0o755)
        without, with_wall = (_facts_where(path, Path(folder)) for path in (bare, walled))
    return {name: {key: _either(with_wall[name][key], without[name][key]) for key in _ROWS} for name in MODES}


def _facts_where(programs: Path, folder: Path) -> dict[str, dict[str, str]]:
    env = {"PATH": str(programs), "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *MODES],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, dict[str, str]] = json.loads(done.stdout)
    return said


def _either(usual: str, otherwise: str) -> str:
    return usual if usual == otherwise else f"{usual}; where that can't be used, {otherwise}"


def _figure(measured: dict[str, Any] | None, row: str, name: str) -> str:
    if measured is None:
        return _ABSENT.get(name, "not measured")
    return f"{measured[row]:.2f} s"


def _row(heading: str, cells: Iterable[str]) -> str:
    return f"| {heading} | " + " | ".join(cells) + " |"


def _conditions(measured: dict[str, Any]) -> str:
    under = measured["conditions"]
    engines = ", ".join(f"{name} {one['version']}" for name, one in measured["modes"].items())
    return (
        f"The times are medians of {under['repeats']} runs of the demo task in each mode, in shuffled "
        f"order and one at a time: the real agent (claude {under['claude']}), a scripted model. They were "
        f"measured on {under['at']} by `python -m tools.docs modes`, on a machine with {under['cpus']} "
        f"processors and {under['memory_gb']} GB of memory, of which other programs kept {under['load']} "
        f"busy ({under['system']}, Python {under['python']}; {engines})."
    )


def measure() -> dict[str, Any]:
    """Run the demo task in every mode that is ready on this machine, as a comparison; return the medians."""
    ready = {one.mode: one.version for one in ccnb.modes() if one.ready and one.mode not in _ABSENT}
    load = os.getloadavg()[0]
    found = ccnb.compare(
        "Write a word counter.", modes=list(ready), api="script:demo", repeats=_REPEATS, name="modes"
    )
    runs = found.frame.query("counted")
    runs = runs.assign(
        begin_s=runs[["image_s", "create_s", "start_s"]].sum(axis=1),
        around_s=runs["wall_s"] - runs["first_event_s"] - runs["agent_s"],
    )
    medians = runs.groupby("mode")[[*_FIGURES]].median().round(3)
    under = {"repeats": _REPEATS, "claude": runs["agent_version"].iloc[0], "load": round(load, 1)}
    return {
        "conditions": _machine() | under,
        "modes": {
            name: {"version": version, **medians.loc[name].to_dict()} for name, version in ready.items()
        },
    }


def _machine() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).date().isoformat(),
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }
