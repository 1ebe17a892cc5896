"""docs/beside-the-peers.svg: the ratios of all rows that have one, on one axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.peers.rows import Row, rows_of

_COLOURS = {"this project": "#15803d", "neither": "#6b7280"}
_BEHIND = "#c2410c"
# The same measurements give the same file, and words stay words: they can be searched, and tested.
_STYLE = {"svg.hashsalt": "beside-the-peers", "svg.fonttype": "none", "font.size": 9}


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Write the picture as SVG."""
    rows = [row for row in rows_of(measured) if row.ratio is not None]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 0.9 + 0.24 * len(rows)), layout="constrained")
        _draw(figure.add_subplot(), rows)
        figure.savefig(path, metadata={"Date": None}, facecolor="white")


def label(row: Row) -> str:
    """Return a row's words in the picture."""
    return f"{row.figure} · {row.peer}"


def _draw(ax: Axes, rows: list[Row]) -> None:
    ax.axvline(1, color="#9ca3af", linewidth=1)
    for place, row in enumerate(rows):
        low, middle, high = _costs(row)
        colour = _COLOURS.get(row.ahead, _BEHIND)
        ax.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        ax.plot(middle, place, "o", color=colour, markersize=5)
        ax.annotate(
            f"{row.ratio:.2f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", color=colour
        )
    ax.set_xscale("log")
    ax.set_yticks(range(len(rows)), [label(row) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(
        "what ours takes as a multiple of what theirs takes (throughput: inverse); left of 1 ours is ahead\n"
        "dots: medians of the rounds' ratios, bars: their quartiles; numbers: ours / theirs\n"
        "green: ours is ahead, orange: the peer is, grey: no clear difference"
    )
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    ax.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    ax.set_axisbelow(True)


def _costs(row: Row) -> tuple[float, float, float]:
    """Return quartile, median and quartile such that less is better."""
    assert row.spread is not None
    assert row.ratio is not None
    low, high = row.spread
    if row.better == "lower":
        return low, row.ratio, high
    return 1 / high, 1 / row.ratio, 1 / low
