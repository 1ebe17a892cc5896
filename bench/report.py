"""A figure; figures as a table and as JSON, with the conditions under which they were measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_HEAD = """# The figures

<!-- Made by `python -m bench --page`. Nothing here is entered by hand. -->

What ccnb itself costs, measured on real engines in one session: each number beside what it is compared
with, and beside the target that this project has set itself, also where it misses it. Beside other tools:
[beside-the-peers.md](beside-the-peers.md).

| figure | value | target | met | detail |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Figure:
    """One measured number, its target, and whether it was met."""

    name: str
    value: float | None
    unit: str
    target: str = ""
    """Empty where the number is only there to be compared with."""
    met: bool | None = None
    detail: str = ""

    @classmethod
    def below(cls, name: str, value: float, unit: str, limit: float, detail: str = "") -> Figure:
        """Return a figure whose target is a limit."""
        return cls(name, value, unit, f"≤ {limit:g}", value <= limit, detail)

    @classmethod
    def absent(cls, name: str, unit: str, why: str) -> Figure:
        """Return a figure that can't be measured on this machine."""
        return cls(name, None, unit, detail=f"not measured: {why}")

    @property
    def number(self) -> str:
        """Return the value as text."""
        return "" if self.value is None else f"{self.value:,.4g}"

    def __str__(self) -> str:
        aim = f" (target {self.target}: {'met' if self.met else 'not met'})" if self.target else ""
        value = f": {self.number} {self.unit}" if self.value is not None else ""
        return f"{self.name}{value}{aim}{f'; {self.detail}' if self.detail else ''}"


def conditions() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        # Filled when a subject's turn comes: what else the machine did just then.
        "load": {},
        "kernel": platform.release(),
        "python": platform.python_version(),
        "docker": _said("docker", "version", "--format", "{{.Server.Version}}"),
        "podman": _said("podman", "version", "--format", "{{.Client.Version}}"),
        "bubblewrap": _said("bwrap", "--version", drop="bubblewrap "),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
    }


def show(figures: Sequence[Figure], under: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(title="ccnb: the figures", title_justify="left", caption=_caption(under))
    for name in ("figure", "value", "unit", "target", "met", "detail"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for figure in figures:
        met = {True: "[green]yes", False: "[red]no", None: ""}[figure.met]
        table.add_row(figure.name, figure.number, figure.unit, figure.target, met, figure.detail)
    console.print(table)


def write(path: Path, figures: Sequence[Figure], under: dict[str, Any], failures: dict[str, str]) -> None:
    """Write all of it as JSON."""
    content = {
        "conditions": under,
        "figures": [asdict(figure) for figure in figures],
        "failures": failures,
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def page(figures: Sequence[Figure], under: dict[str, Any]) -> str:
    """Return the figures as a page of the documents."""
    rows = []
    for figure in figures:
        met = {True: "yes", False: "**no**", None: ""}[figure.met]
        cells = (figure.name, f"{figure.number} {figure.unit}".strip(), figure.target, met, figure.detail)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return f"{_HEAD}{''.join(rows)}\nThe machine: {_caption(under)}.\n"


def _caption(under: dict[str, Any]) -> str:
    loads = ", ".join(f"{load} ({name})" for name, load in under["load"].items())
    return ", ".join(f"{name} {value}" for name, value in {**under, "load": loads}.items() if value)


def _said(*command: str, drop: str = "") -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().removeprefix(drop)
