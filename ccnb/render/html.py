"""Values as HTML that stands alone: no script, no style sheet, nothing from elsewhere, all text escaped.

Colours are laid half-transparent over whatever the page has, or mixed with its ink, so that light and dark
pages both read well.
What a page takes away (GitHub's drops the styles) is never what says something.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from ccnb.render.grid import Cell, Grid
from ccnb.render.palette import CYAN, GREEN, LIGHT_GREY, PHASE_COLOURS, RED, YELLOW, ink
from ccnb.render.runs import file_list, model_text, verdict, verdict_style
from ccnb.render.text import duration, harmless
from ccnb.results import RunRecord, Timings

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MOST_ANSWER = 20_000
_MOST_LINES = 600
_LEAST_S = 0.005
_INKS = {"green": GREEN, "red": RED, "yellow": YELLOW, "cyan": CYAN, "dim": LIGHT_GREY}
_LINES = "rgba(128,128,128,.35)"
_MADE, _GONE, _PLACE = "rgba(46,160,67,.2)", "rgba(248,81,73,.2)", "rgba(84,140,200,.15)"
_MARKS = {"+": _MADE, "-": _GONE, "@": _PLACE}
_MONO = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere"


def escaped(text: str) -> str:
    """Return text that stands for itself in HTML."""
    return html.escape(harmless(text))


def coloured(text: str, style: str) -> str:
    """Return a text in one of the terminal's styles."""
    weight = "font-weight:600;" if "bold" in style else ""
    colour = _INKS.get(style.removeprefix("bold").strip())
    look = weight + (ink(colour) if colour else "")
    return f'<span style="{look}">{escaped(text)}</span>' if look else escaped(text)


def markdown(text: str, most: int = _MOST_ANSWER) -> str:
    """Return somebody's Markdown as HTML: raw HTML in it is shown as it is written, pictures are links."""
    cut = text[:most]
    more = f"<p><i>and {len(text) - len(cut):,} more characters</i></p>" if len(text) > len(cut) else ""
    return f"{_markdown().render(harmless(cut))}{more}"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # A picture would be fetched from wherever the text says, as soon as the page is opened.
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def table(grid: Grid) -> str:
    """Return a grid as a table."""
    head = "".join(f"<th{_aligned(grid, c)}>{escaped(name)}</th>" for c, name in enumerate(grid.headings))
    body = "".join(
        f"<tr>{''.join(f'<td{_aligned(grid, c)}>{_cell(cell)}</td>' for c, cell in enumerate(row))}</tr>"
        for row in grid.rows
    )
    title = f"<caption><b>{escaped(grid.title)}</b></caption>" if grid.title else ""
    heading = f"<thead><tr>{head}</tr></thead>" if any(grid.headings) else ""
    return f'<table style="color:inherit;font-size:inherit">{title}{heading}<tbody>{body}</tbody></table>'


def result(record: RunRecord) -> str:
    """Return a finished run: how it ended, its time as a bar, its cost, its files, its answer."""
    lines = [
        _headline(record),
        coloured(str(record.error), "red") if record.error else "",
        bar(record.timings),
        escaped(model_text(record)),
        f"files: {escaped(file_list(record.files) or 'none changed')}",
        *(coloured(warning, "yellow") for warning in record.warnings),
    ]
    answer = ""
    if record.text.strip():
        look = f"border-left:3px solid {_LINES};padding-left:.8em;margin:.5em 0;max-height:30em;overflow:auto"
        answer = f'<div style="{look}">{markdown(record.text)}</div>'
    return f'<div style="max-width:60em">{"".join(f"<div>{x}</div>" for x in lines if x)}{answer}</div>'


def _headline(record: RunRecord) -> str:
    how = coloured(verdict(record).plain, f"bold {verdict_style(record)}")
    return f"{how} in {escaped(record.mode)}, run <code>{escaped(record.run_id)}</code>"


def bar(timings: Timings) -> str:
    """Return the phases as one bar, each as long as it took, and what they took in words."""
    parts = [(name, getattr(timings, f"{name}_s"), colour) for name, colour in PHASE_COLOURS.items()]
    total_s = sum(seconds for _, seconds, _ in parts)
    if not total_s:
        return ""
    pieces = "".join(
        f'<div title="{name.replace("_", " ")}: {duration(seconds)}"'
        f' style="width:{100 * seconds / total_s:.2f}%;background:{colour}"></div>'
        for name, seconds, colour in parts
        if seconds
    )
    look = f"display:flex;height:.8em;max-width:36em;margin:.3em 0;outline:1px solid {_LINES}"
    box = f"display:inline-block;width:.7em;height:.7em;outline:1px solid {_LINES};background:"
    words = ", ".join(
        f'<span style="{box}{colour}"></span> {name.replace("_", " ")} {seconds:.2f}'
        for name, seconds, colour in parts
        if seconds >= _LEAST_S
    )
    return f'<div style="{look}">{pieces}</div><div>{duration(total_s)}: {words}</div>'


def lines(head: str, shown: Sequence[str]) -> str:
    """Return lines of a run below a head."""
    text = "".join(f"<div>{escaped(line) or '&nbsp;'}</div>" for line in shown)
    block = f'<div style="{_MONO};font-size:.85em;max-height:30em;overflow:auto">{text}</div>'
    return f"<div>{escaped(head)}</div>{block}"


def folded(head: str, body: str, *, is_open: bool) -> str:
    """Return HTML that is folded below a head."""
    state = " open" if is_open else ""
    block = f'<div style="max-height:40em;overflow:auto">{body}</div>'
    return f"<details{state}><summary>{escaped(head)}</summary>{block}</details>"


def patch(text: str) -> str:
    """Return a patch with its lines coloured."""
    lines = text.splitlines()
    if not lines:
        return "<i>an empty patch: nothing was changed</i>"
    shown = "".join(_diff(lines[:_MOST_LINES]))
    more = len(lines) - _MOST_LINES
    rest = f"<div><i>and {more:,} more lines; print the patch for all of them</i></div>" if more > 0 else ""
    return f'<div style="{_MONO};font-size:.9em;max-height:40em;overflow:auto">{shown}</div>{rest}'


def _diff(lines: Sequence[str]) -> Iterable[str]:
    in_head = True
    for line in lines:
        in_head = not line.startswith("@@") and (in_head or line.startswith("diff --git "))
        if in_head:
            bold = line.startswith("diff --git ")
            yield f"<div>{f'<b>{escaped(line)}</b>' if bold else coloured(line, 'dim')}</div>"
            continue
        yield _marked(line)


def diff(shown: Sequence[str]) -> str:
    """Return the lines of hunks, each coloured by its mark."""
    return "".join(map(_marked, shown))


def _marked(line: str) -> str:
    background = _MARKS.get(line[:1])
    look = f' style="background:{background}"' if background else ""
    return f"<div{look}>{escaped(line) or '&nbsp;'}</div>"


def _cell(cell: str | Cell) -> str:
    text = coloured(cell.text, cell.style) if isinstance(cell, Cell) else escaped(cell)
    return text.replace("\n", "<br>")


def _aligned(grid: Grid, column: int) -> str:
    side = "right" if column in grid.right else "left"
    whole = ";white-space:nowrap" if column in grid.whole else ""
    return f' style="text-align:{side};vertical-align:top{whole}"'
