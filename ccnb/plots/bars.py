"""Bars: time by phase, tokens by kind, cost, and tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ccnb.plots.canvas import (
    INK,
    canvas,
    colours,
    counted,
    dots,
    empty,
    from_zero,
    legend_below,
    median_line,
    need,
    plain,
    rows_of,
    scale,
    spread,
)
from ccnb.render import number
from ccnb.render.palette import PHASE_COLOURS

_TOKEN_COLOURS = {
    "cache_read_input_tokens": "#DEEBF7",
    "cache_creation_input_tokens": "#6BAED6",
    "input_tokens": "#0072B2",
    "output_tokens": "#D55E00",
}
_TOKEN_WORDS = {
    "cache_read_input_tokens": "read from the cache",
    "cache_creation_input_tokens": "written to the cache",
    "input_tokens": "input",
    "output_tokens": "output",
}


def plot_phases(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the time by phase for each mode: the means stacked, and a dot for the wall time of every run.

    Parameters
    ----------
    frame
        What `ccnb.frames.phases_frame` gave.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "phases_frame", ("run_id", "mode", "phase", "seconds", "in_wall"))
    inside = frame[frame["in_wall"].astype(bool)]
    wide = inside.pivot_table(
        index=["mode", "run_id"], columns="phase", values="seconds", aggfunc="sum", observed=True, sort=False
    )
    ax = canvas(ax, 1.6 * inside["mode"].nunique())
    if wide.empty:
        return empty(ax, "no finished run")
    divisor, unit = scale(float(wide.sum(axis=1).max()))
    used = [p for p in PHASE_COLOURS if p in wide and wide[p].max() > 0]
    _stack(ax, wide[used] / divisor, {p: p.replace("_", " ") for p in used}, PHASE_COLOURS)
    ax.set_xlabel(f"time ({unit}); bars: mean of each phase, dots: wall time of each run")
    return ax


def plot_tokens(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the tokens by kind for each mode: the means stacked, and a dot for the sum of every run.

    Parameters
    ----------
    frame
        What `ccnb.frames.runs_frame` gave.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "runs_frame", ("run_id", "mode", *_TOKEN_COLOURS))
    ended = frame.dropna(subset=["output_tokens"]).set_index(["mode", "run_id"])
    ax = canvas(ax, 1.6 * frame["mode"].nunique())
    if ended.empty:
        return empty(ax, "no finished run")
    wide = ended[[*_TOKEN_COLOURS]].astype(float)
    used = [kind for kind in _TOKEN_COLOURS if wide[kind].max() > 0]
    _stack(ax, wide[used], _TOKEN_WORDS, _TOKEN_COLOURS)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.set_xlabel("tokens; bars: mean of each kind, dots: sum of each run")
    return ax


def plot_cost(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the cost of every run as a dot, for each mode, with their median.

    Parameters
    ----------
    frame
        What `ccnb.frames.runs_frame` gave.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "runs_frame", ("run_id", "mode", "total_cost_usd"))
    ended = frame.dropna(subset=["total_cost_usd"])
    groups = dict(list(ended.groupby("mode", sort=False)["total_cost_usd"]))
    ax = canvas(ax, 1.3 * len(groups))
    if not groups:
        return empty(ax, "no finished run")
    colour = colours(groups)
    for row, (mode, costs) in enumerate(groups.items()):
        dots(ax, row, costs.to_numpy(dtype=float), colour[mode])
        median_line(ax, row, float(costs.median()))
    rows_of(ax, [counted(str(mode), len(costs)) for mode, costs in groups.items()])
    from_zero(ax)
    ax.xaxis.set_major_formatter(lambda value, _: f"${value:,.4g}")
    ax.set_xlabel("cost of each run (USD, by list prices); line: median")
    return ax


def plot_tools(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how often each tool was called in each mode; failed calls are hatched.

    Parameters
    ----------
    frame
        What `ccnb.frames.tools_frame` gave.
    ax
        Where to draw; without it a new figure of pyplot's.

    Raises
    ------
    SpecError
    """
    need(frame, "tools_frame", ("run_id", "mode", "tool_name", "duration_s", "is_error"))
    modes = list(dict.fromkeys(frame["mode"]))
    counts = frame["tool_name"].value_counts()
    tools = sorted(counts.index, key=lambda name: (-counts[name], name))
    ax = canvas(ax, max(1.0, 0.55 * len(modes)) * len(tools))
    if frame.empty:
        return empty(ax, "no call of a tool")
    height = 0.8 / len(modes)
    for lane, mode in enumerate(modes):
        calls = frame[frame["mode"] == mode]
        look = {"color": colours(modes)[mode], "label": f"{mode} (n = {calls['run_id'].nunique()})"}
        _tool_bars(ax, calls, tools, (lane + 0.5) * height - 0.4, height=height, **look)
    rows_of(ax, [plain(tool) for tool in tools])
    ax.set_xlim(0, ax.get_xlim()[1] * 1.15)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("calls, with the time they took; hatched: failed")
    legend_below(ax)
    return ax


def _tool_bars(
    ax: Axes, calls: pd.DataFrame, tools: Sequence[str], shift: float, *, height: float, **look: Any
) -> None:
    counts = calls["tool_name"].value_counts().reindex(tools, fill_value=0)
    failed = calls.loc[calls["is_error"].fillna(value=False).astype(bool), "tool_name"].value_counts()
    seconds = calls.groupby("tool_name")["duration_s"].sum().reindex(tools, fill_value=0.0)
    places = np.arange(len(tools)) + shift
    bars = ax.barh(places, counts, height * 0.92, **look)
    bad = failed.reindex(tools, fill_value=0)
    ax.barh(
        places,
        bad,
        height * 0.92,
        left=counts - bad,
        color="none",
        edgecolor="white",
        hatch="////",
        linewidth=0,
    )
    texts = [f"{n}, {number(s, 2)} s" if n else "" for n, s in zip(counts, seconds, strict=True)]
    ax.bar_label(bars, texts, padding=3, fontsize="small", color=INK)


def _stack(ax: Axes, wide: pd.DataFrame, words: Mapping[str, str], colour: Mapping[str, str]) -> None:
    """Draw a row for each mode: the means of some parts as one bar, a dot for the sum of each run."""
    groups = dict(list(wide.groupby(level="mode", sort=False)))
    means = pd.DataFrame({mode: runs.mean() for mode, runs in groups.items()}).T
    left = np.zeros(len(groups))
    for part in wide.columns:
        lengths = means[part].to_numpy(dtype=float)
        ax.barh(
            range(len(groups)),
            lengths,
            0.62,
            left=left,
            color=colour[part],
            label=words[part],
            edgecolor="white",
            linewidth=0.6,
        )
        left = left + lengths
    for row, runs in enumerate(groups.values()):
        sums = runs.sum(axis=1).to_numpy(dtype=float)
        ax.scatter(
            sums, row + spread(len(sums)), s=24, color=INK, edgecolors="white", linewidths=0.6, zorder=3
        )
    rows_of(ax, [counted(str(mode), len(runs)) for mode, runs in groups.items()])
    ax.set_xlim(0, max(float(wide.sum(axis=1).max()) * 1.05, 1e-9))
    legend_below(ax)
