"""What a notebook shows of a value: HTML where it can, plain text everywhere."""

from __future__ import annotations

import io
from collections.abc import Container
from typing import Any, Self

from rich.console import Console, RenderableType

from ccnb.redact import Redactor
from ccnb.render import html
from ccnb.render.grid import Grid
from ccnb.render.text import harmless

_WIDTH = 100

Bundle = dict[str, str]
"""MIME types and what is shown for them."""


def plain(renderable: RenderableType, width: int = _WIDTH) -> str:
    """Return a renderable as text without colours."""
    file = io.StringIO()
    # In a notebook rich would show it by itself.
    console = Console(file=file, width=width, color_system=None, force_jupyter=False)
    console.print(renderable, markup=False, emoji=False, highlight=False)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def grid_bundle(grid: Grid) -> Bundle:
    """Return both forms of a grid."""
    return {"text/plain": plain(grid, 120), "text/html": html.table(grid)}


class Shown:
    """Mixed into what people hold: IPython asks it how it looks."""

    def _bundle(self) -> Bundle:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._bundle()["text/html"]

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, Any]:
        """Return the MIME types that IPython asks for (its display protocol)."""
        return {
            kind: text
            for kind, text in self._bundle().items()
            if (not include or kind in include) and not (exclude and kind in exclude)
        }


class ShownWhole(Shown):
    """The same for what is also a list or a text, which IPython would print in its own way; comes first."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython gives it
        printer.text(self._bundle()["text/plain"])


class Patch(ShownWhole, str):
    """A patch: a text, which a notebook shows in colours."""

    __slots__ = ()
    _clean: str

    @classmethod
    def of(cls, text: str, clean: str) -> Self:
        """Return a patch that is shown in another, clean form: what is shown is saved with the notebook."""
        patch = cls(text)
        patch._clean = Redactor().text(clean)
        return patch

    def _bundle(self) -> Bundle:
        text = getattr(self, "_clean", None)
        clean = Redactor().text(self) if text is None else text
        return {"text/plain": harmless(clean) or "an empty patch", "text/html": html.patch(clean)}
