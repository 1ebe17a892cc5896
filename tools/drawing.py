"""The strokes of the documents' pictures, as parts of an SVG."""

from __future__ import annotations

from collections.abc import Sequence

RED, GREY, BLUE, GREEN = "#dc2626", "#444", "#2563eb", "#15803d"


def frame(name: str, title: str, about: str, body: Sequence[str], height: int = 310) -> str:
    """Return a whole picture; `about` says what it shows, for those who can't see it."""
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" '
            'font-family="system-ui, sans-serif" font-size="14" role="img" '
            f'aria-labelledby="{name}-title {name}-about">'
        ),
        f'<title id="{name}-title">{title}</title>',
        f'<desc id="{name}-about">{about}</desc>',
        "<defs>",
        *(_tip(color) for color in (RED, GREY, BLUE, GREEN) if f"#tip-{color[1:]})" in "".join(body)),
        "</defs>",
        f'<rect width="760" height="{height}" rx="8" fill="#fff"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def node(x: int, y: int, name: str, about: str, *, width: int = 164, color: str = "#6b7280") -> list[str]:
    """Return a box with a name, and a word about it; a red one holds the token's value."""
    middle = x + width // 2
    mark = [f'<circle cx="{x + width}" cy="{y}" r="7" fill="{RED}"/>'] if color == RED else []
    return [
        box((x, y, width, 62), "#fff", color),
        f'<text x="{middle}" y="{y + 27}" text-anchor="middle" fill="#111">{name}</text>',
        f'<text x="{middle}" y="{y + 46}" text-anchor="middle" fill="#555" font-size="10.5">{about}</text>',
        *mark,
    ]


def box(area: tuple[int, int, int, int], fill: str, stroke: str, *, dash: bool = False) -> str:
    """Return a rectangle at `(x, y, width, height)`."""
    x, y, width, height = area
    dashes = ' stroke-dasharray="6 4"' if dash else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" '
        f'stroke="{stroke}"{dashes}/>'
    )


def text(x: int, y: int, words: str, *, bold: bool = False, small: bool = False) -> str:
    """Return words."""
    style = ' font-weight="600" fill="#333"' if bold else ' fill="#555" font-size="12"' if small else ""
    return f'<text x="{x}" y="{y}"{style}>{words}</text>'


def arrow(path: str, color: str, *, both: bool = False) -> str:
    """Return an arrow along a path, with a tip at its end or at both."""
    tip = f"url(#tip-{color[1:]})"
    start = f' marker-start="{tip}"' if both else ""
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6"{start} marker-end="{tip}"/>'


def _tip(color: str) -> str:
    return (
        f'<marker id="tip-{color[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{color}"/></marker>'
    )
