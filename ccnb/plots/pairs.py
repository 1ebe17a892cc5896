"""Runs against each other."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ccnb.plots.canvas import canvas, empty, need, short

_MOST_NUMBERS = 10
"""With more runs the cells are too small for numbers."""


def plot_similarity(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how alike the answers of runs are, each against each.

    Parameters
    ----------
    frame
        What `ccnb.frames.similarity_frame` gave.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "similarity_frame", ("run_id", "other_run_id", "mode", "similarity"))
    modes = dict(zip(frame["run_id"], frame["mode"], strict=True))
    ax = canvas(ax, 1.1 * len(modes))
    if frame.empty:
        return empty(ax, "no finished run")
    ids = sorted(modes, key=lambda run_id: (modes[run_id], run_id))
    square = frame.pivot(index="run_id", columns="other_run_id", values="similarity").loc[ids, ids]
    image = ax.imshow(square.to_numpy(dtype=float), vmin=0, vmax=1, cmap="cividis")
    labels = [short(modes[run_id], run_id) for run_id in ids]
    ax.set_xticks(range(len(ids)), labels, rotation=45, ha="right")
    ax.set_yticks(range(len(ids)), labels)
    ax.tick_params(length=0)
    if len(ids) <= _MOST_NUMBERS:
        for row, values in enumerate(square.to_numpy(dtype=float)):
            for column, value in enumerate(values):
                ink = "black" if value > 0.45 else "white"
                ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize="small")
    ax.figure.colorbar(image, ax=ax, label="similarity of the answers (0 to 1, by words)")
    ax.set_title(f"n = {len(ids)} runs", fontsize="medium")
    return ax
