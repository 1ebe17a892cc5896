"""The colours of phases, the same in pictures and in HTML."""

from __future__ import annotations

PHASE_COLOURS = {
    "image": "#DEEBF7",
    "create": "#9ECAE1",
    "start": "#6BAED6",
    "setup": "#3182BD",
    "first_event": "#08306B",
    "model": "#E69F00",
    "tools": "#D55E00",
    "check": "#009E73",
    "collect": "#999999",
}
"""The place's own phases are blues from light to dark, so that they are seen as one. The agent's phase is
told apart into the model's time and the tools'."""
