"""Pictures of frames: each function takes a frame and gives the Axes it has drawn on."""

from ccnb.plots.arms import as_png, plot_arms
from ccnb.plots.bars import plot_cost, plot_phases, plot_tokens, plot_tools
from ccnb.plots.pairs import plot_similarity
from ccnb.plots.timeline import plot_timeline

__all__ = [
    "as_png",
    "plot_arms",
    "plot_cost",
    "plot_phases",
    "plot_similarity",
    "plot_timeline",
    "plot_tokens",
    "plot_tools",
]
