"""Colours: of phases, the same in pictures and in HTML, and of what is written in one."""

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

GREEN, RED, YELLOW, CYAN, BLUE, VIOLET = "#2da44e", "#e5534b", "#c69026", "#3192aa", "#4184e4", "#b083f0"
DARK_GREY, LIGHT_GREY = "#6e7781", "#8b949e"

_OF_THE_PAGE = "35%"


def ink(colour: str) -> str:
    """Return the style of text in a colour, which reads well on light pages and on dark ones.

    No one colour does: 4.5 to 1 on white is less than that on black. So the page's own ink is a part of it;
    who doesn't know such a mixture shows the colour itself.
    """
    return f"color:{colour};color:color-mix(in srgb,currentcolor {_OF_THE_PAGE},{colour})"
