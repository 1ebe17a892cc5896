"""A table as a value: headings and cells, of which a terminal's table is made (and later HTML)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ccnb.render.text import harmless


@dataclass(frozen=True)
class Cell:
    """A text with a style."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of cells. Strings are cells too; whatever they hold is made harmless when it is shown."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""
    right: frozenset[int] = frozenset()
    """Columns of numbers, aligned to the right."""
    whole: frozenset[int] = frozenset()
    """Columns that are never broken into lines."""
    cut: frozenset[int] = frozenset()
    """Columns that end in an ellipsis where there is no room."""
    lines: bool = field(default=False, kw_only=True)
    """A line between rows, for cells of several lines."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        headed = any(self.headings)
        padding = (0, 1) if headed else (0, 2, 0, 0)
        table = Table(
            title=self.title or None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD if headed else None,
            show_header=headed,
            show_lines=self.lines,
            pad_edge=False,
            padding=padding,
            header_style="bold",
        )
        texts = [[_text(cell) for cell in row] for row in self.rows]
        for number, heading in enumerate(self.headings):
            table.add_column(
                Text(harmless(heading)),
                justify="right" if number in self.right else "left",
                no_wrap=number in self.whole | self.cut,
                overflow="ellipsis" if number in self.cut else "fold",
                max_width=self._room(texts, options.max_width) if number in self.cut else None,
            )
        for row in texts:
            table.add_row(*row)
        yield table

    def _room(self, rows: Sequence[Sequence[Text]], width: int) -> int:
        """Return what the columns that are shown whole leave of a width."""
        columns = range(len(self.headings))
        widths = [max([cell_len(self.headings[c]), *(row[c].cell_len for row in rows)]) for c in columns]
        taken = sum(widths[c] for c in columns if c not in self.cut) + 2 * len(columns) + 2
        return max(8, width - taken)


def _text(cell: str | Cell) -> Text:
    return Text(harmless(cell.text), cell.style) if isinstance(cell, Cell) else Text(harmless(cell))
