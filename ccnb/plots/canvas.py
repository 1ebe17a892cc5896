"""What all pictures share: where they are drawn, their colours, their units and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from ccnb.errors import SpecError
from ccnb.render import one_line

WIDTH = 8.0
"""Inches: what a notebook shows without scaling."""

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Told apart by people of any colour vision (Okabe and Ito, 2008)."""

_OWN = ("docker", "podman", "local", "sandbox", "fly")

INK, FAINT = "#222222", "#999999"

_SPREAD = 0.28
"""How far dots of one row may lie from its middle."""
_ROOM = 0.04
"""Beside the smallest and the largest value, of the largest."""


def canvas(ax: Axes | None, rows: float) -> Axes:
    """Return the given Axes, or those of a new figure that is high enough for some rows.

    A new figure is pyplot's: a notebook shows only such a one by itself.
    """
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    _, made = plt.subplots(figsize=(WIDTH, 1.4 + 0.42 * max(rows, 1)), layout="constrained")
    return made


def need(frame: pd.DataFrame, maker: str, columns: Iterable[str]) -> None:
    """See that a frame has some columns.

    Raises
    ------
    SpecError
    """
    missing = [c for c in columns if c not in getattr(frame, "columns", ())]
    if missing:
        raise SpecError(f"this frame has no column {missing[0]!r}; make it by ccnb.frames.{maker}")


def empty(ax: Axes, what: str) -> Axes:
    """Say on the Axes that there is nothing to draw."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, what, ha="center", va="center", color=FAINT, transform=ax.transAxes)
    return ax


def colours(modes: Iterable[str]) -> dict[str, str]:
    """Return a colour for each mode: ours have theirs in all pictures, others get what is left."""
    found: dict[str, str] = {}
    left = iter(OKABE_ITO[len(_OWN) :] * 8)
    for mode in dict.fromkeys(modes):
        found[mode] = OKABE_ITO[_OWN.index(mode)] if mode in _OWN else next(left)
    return found


def scale(longest_s: float) -> tuple[float, str]:
    """Return by what seconds are to be divided, and the unit of that.

    >>> scale(30), scale(1200)
    ((1.0, 's'), (60.0, 'min'))
    """
    if longest_s < 300:
        return 1.0, "s"
    return (60.0, "min") if longest_s < 18_000 else (3600.0, "h")


def spread(count: int) -> np.ndarray:
    """Return where the dots of a row lie beside its middle: evenly, so that each picture is the same."""
    return np.linspace(-_SPREAD, _SPREAD, count) if count > 1 else np.zeros(count)


def dots(ax: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """Draw every value of a row as a dot."""
    places = row + spread(len(values))
    ax.scatter(values, places, s=26, color=colour, alpha=0.75, linewidths=0, zorder=3)


def median_line(ax: Axes, row: int, middle: float) -> None:
    """Draw a row's median as a line across it."""
    ax.plot([middle, middle], [row - 0.36, row + 0.36], color=INK, linewidth=1.7, zorder=4)


def from_zero(ax: Axes) -> None:
    """Let the values begin at zero, with room for whole dots at both ends."""
    most = float(ax.dataLim.x1) or 1.0
    ax.set_xlim(-_ROOM * most, (1 + _ROOM) * most)


def rows_of(ax: Axes, labels: Sequence[str]) -> None:
    """Label the rows, the first at the top, and take away what no reader needs."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="x", color=FAINT, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)


def legend_below(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Put the legend below the picture, where it hides nothing."""
    known = handles or ax.get_legend_handles_labels()[0]
    if known:
        figure = ax.get_figure(root=True)
        height = ax.get_window_extent().height / (figure.dpi if figure else 100)
        ax.legend(
            handles=known,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.5 / max(height, 0.5)),
            ncols=min(5, len(known)),
            frameon=False,
            fontsize="small",
            handlelength=1.2,
        )


def counted(name: str, count: int) -> str:
    """Return a label that says of how many runs it speaks."""
    return f"{name}\n(n = {count})"


def short(mode: str, run_id: str) -> str:
    """Return a run's label: its mode and the end of its id."""
    return f"{mode} · {run_id.rsplit('-', 1)[-1]}"


def plain(text: str) -> str:
    """Return a label in which nothing is taken for a formula; an agent may name its tools as it likes."""
    return one_line(text, 40).replace("$", r"\$")
