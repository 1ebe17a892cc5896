"""When each run went on, and what its tools did meanwhile."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ccnb.plots.canvas import INK, canvas, colours, empty, legend_below, need, rows_of, scale, short

Rows = dict[str, tuple[int, float]]
"""Of each run its row, and when it began in seconds after the first."""

_LEAST_WIDTH = 0.002
"""Of the whole width: a call of a tool that took no time is seen all the same."""


def plot_timeline(frame: pd.DataFrame, tools: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw each run as a bar from its start to its end, with the calls of tools inside.

    Parameters
    ----------
    frame
        What `ccnb.frames.runs_frame` gave.
    tools
        What `ccnb.frames.tools_frame` gave of the same runs; without it the bars are plain.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "runs_frame", ("run_id", "mode", "started_at", "wall_s", "outcome"))
    ended = frame.dropna(subset=["wall_s"]).sort_values(["started_at", "run_id"], kind="stable")
    ax = canvas(ax, len(ended))
    if ended.empty:
        return empty(ax, "no finished run")
    begins = (ended["started_at"] - ended["started_at"].min()).dt.total_seconds()
    span_s = float((begins + ended["wall_s"]).max())
    divisor, unit = scale(span_s)
    colour = colours(sorted(ended["mode"].unique()))
    rows = {run_id: (n, begin) for n, (run_id, begin) in enumerate(zip(ended["run_id"], begins, strict=True))}
    _draw_runs(ax, ended, rows, colour, divisor)
    if tools is not None:
        need(tools, "tools_frame", ("run_id", "since_s", "duration_s"))
        _draw_tools(ax, tools, rows, divisor, span_s)
    rows_of(ax, [short(run.mode, run.run_id) for run in ended.itertuples()])
    ax.set_xlim(0, span_s / divisor * 1.02)
    ax.set_xlabel(f"time since the first run's start ({unit})")
    _explain(ax, ended, colour, with_tools=tools is not None)
    return ax


def _draw_runs(ax: Axes, ended: pd.DataFrame, rows: Rows, colour: dict[str, str], divisor: float) -> None:
    for run in ended.itertuples():
        row, begin = rows[run.run_id]
        good = run.outcome == "success"
        ax.barh(
            row,
            run.wall_s / divisor,
            0.7,
            left=begin / divisor,
            color=colour[run.mode],
            alpha=0.45,
            hatch=None if good else "////",
            edgecolor="white" if good else INK,
            linewidth=0.6,
        )


def _draw_tools(ax: Axes, tools: pd.DataFrame, rows: Rows, divisor: float, span_s: float) -> None:
    for run_id, calls in tools[tools["run_id"].isin(list(rows))].groupby("run_id", sort=False):
        row, begin = rows[str(run_id)]
        lengths = calls["duration_s"].fillna(0.0).clip(lower=span_s * _LEAST_WIDTH)
        spans = zip((begin + calls["since_s"]) / divisor, lengths / divisor, strict=True)
        ax.broken_barh(list(spans), (row - 0.2, 0.4), facecolors=INK, linewidth=0)


def _explain(ax: Axes, ended: pd.DataFrame, colour: dict[str, str], *, with_tools: bool) -> None:
    counts = ended["mode"].value_counts()
    known = [Patch(color=c, alpha=0.45, label=f"{mode} (n = {counts[mode]})") for mode, c in colour.items()]
    known += [Patch(color=INK, label="a tool at work")] if with_tools else []
    if (ended["outcome"] != "success").any():
        known.append(Patch(facecolor="white", edgecolor=INK, hatch="////", label="ended badly"))
    legend_below(ax, handles=known)
