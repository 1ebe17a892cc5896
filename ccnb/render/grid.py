"""A table as a value: headings and cells, of which a terminal's table and a notebook's are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ccnb.render.text import harmless

_GAP = 2
"""Between two columns."""
_LEAST = 10
"""The least width of a column that is cut."""


_ALIGNED = {False: ' style="text-align: left"', True: ' style="text-align: right"'}


@dataclass(frozen=True)
class Cell:
    """A text with a style."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of cells. Strings are cells too; whatever they hold is made harmless when it is shown."""

    headings: Sequence[str]
    """All empty: a list of things with their names, without a head."""
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""
    right: frozenset[int] = frozenset()
    """Columns of numbers, aligned to the right."""
    whole: frozenset[int] = frozenset()
    """Columns that are never broken into lines."""
    cut: int | None = None
    """The column that ends in an ellipsis where there is no room."""
    optional: Sequence[int] = ()
    """Columns that are left out where there is no room, the first to go first."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        texts = [[_text(cell) for cell in row] for row in self.rows]
        widths = [
            max([cell_len(heading), *(_widest(row[c]) for row in texts)])
            for c, heading in enumerate(self.headings)
        ]
        shown = self._shown(widths, options.max_width)
        table = Table(
            title=self.title or None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD if any(self.headings) else None,
            show_header=any(self.headings),
            show_edge=False,
            pad_edge=False,
            padding=(0, 1 if any(self.headings) else 2, 0, 0),
            header_style="bold",
        )
        for c in shown:
            others = sum(widths[other] + _GAP for other in shown if other != c)
            table.add_column(
                Text(harmless(self.headings[c])),
                justify="right" if c in self.right else "left",
                no_wrap=c in self.whole or c == self.cut,
                overflow="ellipsis" if c == self.cut else "fold",
                max_width=max(_LEAST, options.max_width - others) if c == self.cut else None,
            )
        for row in texts:
            table.add_row(*(row[c] for c in shown))
        yield table

    def _repr_html_(self) -> str:
        """Return it as an HTML table, in which no text is markup."""
        head = "".join(f"<th>{_html(heading)}</th>" for heading in self.headings)
        rows = [
            "".join(
                f"<td{_ALIGNED[c in self.right]}>{_html(_text(cell).plain)}</td>"
                for c, cell in enumerate(row)
            )
            for row in self.rows
        ]
        parts = [f"<caption>{_html(self.title)}</caption>" if self.title else ""]
        parts += [f"<thead><tr>{head}</tr></thead>" if any(self.headings) else ""]
        parts += ["<tbody>", *(f"<tr>{row}</tr>" for row in rows), "</tbody>"]
        return f"<table>{''.join(parts)}</table>"

    def _shown(self, widths: Sequence[int], room: int) -> list[int]:
        """Return the columns for which there is room."""
        shown = list(range(len(widths)))
        for column in self.optional:
            needed = sum((_LEAST if c == self.cut else widths[c]) + _GAP for c in shown) - _GAP
            if needed > room:
                shown.remove(column)
        return shown


def _html(text: str) -> str:
    return escape(harmless(text)).replace("\n", "<br>")


def _widest(text: Text) -> int:
    """Return the width of a text's widest line."""
    return max((cell_len(line) for line in text.plain.split("\n")), default=0)


def _text(cell: str | Cell) -> Text:
    return Text(harmless(cell.text), cell.style) if isinstance(cell, Cell) else Text(harmless(cell))
