"""What a program printed for a terminal, as HTML: its colours are kept, all else of it is text."""

from __future__ import annotations

import html
from functools import cache

from rich.console import Console
from rich.style import Style
from rich.text import Text

from ccnb.render.palette import BLUE, CYAN, DARK_GREY, GREEN, LIGHT_GREY, RED, VIOLET, YELLOW, ink
from ccnb.render.text import harmless

_INKS = (DARK_GREY, RED, GREEN, YELLOW, BLUE, VIOLET, CYAN, LIGHT_GREY)
"""In place of a terminal's own."""


def ansi(text: str) -> str:
    r"""Return a terminal's text as HTML.

    >>> ansi("\x1b[1mno\x1b[0m <b>")
    '<span style="font-weight:600">no</span> &lt;b&gt;'
    """
    if "\x1b" not in text:
        return html.escape(harmless(text))
    segments = Text.from_ansi(text).render(_console())
    return "".join(_span(harmless(segment.text), segment.style) for segment in segments)


def _span(text: str, style: Style | None) -> str:
    look = _look(style) if style else ""
    return f'<span style="{look}">{html.escape(text)}</span>' if look else html.escape(text)


def _look(style: Style) -> str:
    colour = _colour(style)
    wanted = (
        (colour, ink(colour or "")),
        (style.bold, "font-weight:600"),
        (style.italic, "font-style:italic"),
        # A colour is fainter than the page's own ink already.
        (style.dim and not colour, "opacity:.7"),
        (style.underline, "text-decoration:underline"),
    )
    return ";".join(css for on, css in wanted if on)


def _colour(style: Style) -> str | None:
    if style.color is None:
        return None
    number, triplet = style.color.number, style.color.triplet
    if number is not None and number < 2 * len(_INKS):
        return _INKS[number % len(_INKS)]
    return triplet.hex if triplet else None


@cache
def _console() -> Console:
    return Console(color_system="truecolor", force_jupyter=False, markup=False)
