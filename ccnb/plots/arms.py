"""Arms of a comparison against each other: every run is seen."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from ccnb.plots.canvas import (
    INK,
    OKABE_ITO,
    canvas,
    counted,
    dots,
    empty,
    from_zero,
    median_line,
    need,
    plain,
    rows_of,
)

Bounds = tuple[float, float, float]
"""A median, and its interval; NaN where there is none."""


def plot_arms(
    frame: pd.DataFrame,
    bounds: Mapping[str, Bounds],
    *,
    metric: str = "wall_s",
    order: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw every run of each arm as a dot, with the arm's median and its interval.

    Parameters
    ----------
    frame
        Rows of `Comparison.frame` that count.
    bounds
        The median of each arm with its interval.
    order
        The arms in their order.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "compared.compared_frame", ("arm", metric))
    groups = {arm: frame.loc[frame["arm"] == arm, metric].dropna().to_numpy(dtype=float) for arm in order}
    ax = canvas(ax, 1.3 * len(groups))
    if not any(len(values) for values in groups.values()):
        return empty(ax, "no finished run")
    for row, (arm, values) in enumerate(groups.items()):
        dots(ax, row, values, OKABE_ITO[row % len(OKABE_ITO)])
        if arm in bounds:
            _median(ax, row, bounds[arm])
    rows_of(ax, [counted(plain(arm), len(values)) for arm, values in groups.items()])
    from_zero(ax)
    ax.set_xlabel(f"{metric}; dots: runs, line: median with its 95 % interval")
    return ax


def as_png(ax: Axes) -> str:
    """Return the figure of some Axes as a PNG in base64, the same bytes for the same picture; close it."""
    from matplotlib import pyplot as plt

    figure = ax.get_figure(root=True)
    if figure is None:
        return ""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def _median(ax: Axes, row: int, bounds: Bounds) -> None:
    middle, low, high = bounds
    median_line(ax, row, middle)
    if not math.isnan(low):
        ax.plot([low, high], [row + 0.36, row + 0.36], color=INK, linewidth=1.7, zorder=4)
