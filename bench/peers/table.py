"""The rows in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.peers.rows import ratio_text, rows_of, summed


def show(measured: Mapping[str, Any], console: Console) -> None:
    """Print the rows, and below them the machine."""
    caption = ", ".join(f"{name} {value}" for name, value in measured["conditions"].items())
    table = Table(title="ccnb beside its peers", title_justify="left", caption=caption)
    for name in ("peer", "figure", "unit", "ours", "theirs", "ours / theirs", "who is ahead"):
        table.add_column(name, justify="right" if "our" in name or name == "theirs" else "left")
    for row in rows_of(measured):
        style = {"": "dim", "this project": "green", "neither": ""}.get(row.ahead, "yellow")
        table.add_row(
            row.peer, row.figure, row.unit, summed(row.ours), summed(row.theirs), ratio_text(row),
            f"[{style}]{row.verdict}" if style else row.verdict,
        )  # fmt: skip
    console.print(table)
