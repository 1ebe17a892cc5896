"""What a program printed for a terminal, as HTML: its colours are kept, all else of it is text."""

from __future__ import annotations

import html
from functools import cache

from rich.console import Console
from rich.style import Style
from rich.text import Text

from ccnb.render.text import harmless

_INKS = ("#6e7781", "#e5534b", "#2da44e", "#c69026", "#4184e4", "#b083f0", "#3192aa", "#8b949e")
"""Read on white and on black alike; a terminal's own would not."""


def ansi(text: str) -> str:
    r"""Return a terminal's text as HTML.

    >>> ansi("\x1b[31mno\x1b[0m <b>")
    '<span style="color:#e5534b">no</span> &lt;b&gt;'
    """
    if "\x1b" not in text:
        return html.escape(harmless(text))
    segments = Text.from_ansi(text).render(_console())
    return "".join(_span(harmless(segment.text), segment.style) for segment in segments)


def _span(text: str, style: Style | None) -> str:
    look = _look(style) if style else ""
    return f'<span style="{look}">{html.escape(text)}</span>' if look else html.escape(text)


def _look(style: Style) -> str:
    parts = []
    if style.color and (ink := _ink(style.color.number, style.color.triplet and style.color.triplet.hex)):
        parts.append(f"color:{ink}")
    parts += [css for on, css in ((style.bold, "font-weight:600"), (style.italic, "font-style:italic")) if on]
    parts += [
        css for on, css in ((style.dim, "opacity:.7"), (style.underline, "text-decoration:underline")) if on
    ]
    return ";".join(parts)


def _ink(number: int | None, triplet: str | None) -> str | None:
    return _INKS[number % len(_INKS)] if number is not None and number < 2 * len(_INKS) else triplet


@cache
def _console() -> Console:
    return Console(color_system="truecolor", force_jupyter=False, markup=False)
