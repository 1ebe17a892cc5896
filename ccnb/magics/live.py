"""A run while it goes on: a small view that is written anew in a notebook, lines in a terminal."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import deque
from typing import Any, Protocol

from IPython.display import display

from ccnb import render
from ccnb.render import html
from ccnb.render.conversation import Item, conversation
from ccnb.runner.handles import Run, RunResult
from ccnb.widgets.rate import EVERY_S
from ccnb.widgets.story import Story

_STILL_S = 1.0
_DRAWN_S = 1.5
_LAST = 8
_MOST_KEPT = 100_000
_MOST_VIEWS = 8
_WIDGET = "application/vnd.jupyter.widget-view+json"

_kept: deque[Any] = deque()


class View(Protocol):
    """Shows one run."""

    def say(self, line: str) -> None:
        """Take a line about what takes its time; from any thread."""

    def look(self, run: Run) -> None:
        """Show how the run stands now."""

    def end(self, result: RunResult | None) -> None:
        """Show the last state; the result itself is the cell's value."""


def open_view(shell: Any, *, quiet: bool, awaited: bool = False, begun_at: float | None = None) -> View:
    """Return the view of a run that fits the front end.

    Parameters
    ----------
    awaited
        Whether the kernel answers a page meanwhile: a widget needs that.
    """
    if quiet:
        return Nothing()
    begun_at = begun_at or time.time()
    if not hasattr(shell, "kernel"):
        return Lines(begun_at)
    return Widget(begun_at) if awaited and _has_widgets() else Page(begun_at)


def _has_widgets() -> bool:
    return all(importlib.util.find_spec(name) for name in ("anywidget", "ipywidgets", "comm"))


class Nothing:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """See `View`."""

    def look(self, run: Run) -> None:
        """See `View`."""

    def end(self, result: RunResult | None) -> None:
        """See `View`."""


class Lines:
    """Prints each line once: for a terminal."""

    def __init__(self, begun_at: float) -> None:
        self._begun_at = begun_at
        self._story: Story | None = None

    def say(self, line: str) -> None:
        """See `View`."""
        self._print(render.one_line(line))

    def look(self, run: Run) -> None:
        """See `View`."""
        self._story = self._story or Story(run, self._begun_at)
        while fresh := self._story.read():
            for line in self._story.lines(fresh):
                self._print(line)

    def end(self, result: RunResult | None) -> None:
        """See `View`."""

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")


class Page:
    """One output that is written anew: for a notebook. It is bounded, whatever the run prints."""

    def __init__(self, begun_at: float) -> None:
        self.also: dict[str, Any] = {}
        """What else the output is while the run goes on, by MIME type."""
        self.is_open = False
        """Whether the conversation is unfolded at the end."""
        self.story: Story | None = None
        self._begun_at = begun_at
        self.note = ""
        """What is waited for."""
        self._written_at = 0.0
        self._seen: tuple[int, str] | None = None
        self._handle: Any = None

    def say(self, line: str) -> None:
        """See `View`."""
        # Whoever says it may be on another thread, whose output the notebook would put elsewhere.
        self.note = line

    def look(self, run: Run) -> None:
        """See `View`."""
        self.story = story = self.story or Story(run, self._begun_at)
        story.read_all()
        now = time.monotonic()
        seen = (story.count, run.state)
        if now - self._written_at < (_STILL_S if seen == self._seen else EVERY_S):
            return
        self._written_at, self._seen = now, seen
        head = f"{run.mode}: {story.status(self.note)}"
        lines = story.lines(list(story.recent)[-_LAST:])[-_LAST:]
        self._write(head, lines, html.lines(head, lines), self.also)

    def end(self, result: RunResult | None) -> None:
        """See `View`."""
        if self._handle is None or self.story is None:
            return
        story = self.story
        story.read_all()
        how = render.verdict(result).plain if result else "ended"
        took_s = result.timings.wall_s if result else time.time() - self._begun_at
        turns = result.num_turns if result else story.turns
        kept = _last_pieces(story)
        body = conversation([piece for pieces in kept for piece in pieces])
        plural = "" if turns == 1 else "s"
        words = f"{story.run.mode}: {how}, {turns} turn{plural}, {render.duration(took_s)}"
        if len(kept) < story.count:
            words += f", the last {len(kept)} of {story.count} events"
        lines = story.lines(list(story.recent)[-_LAST:])[-_LAST:]
        self._write(words, lines, html.folded(words, body, is_open=self.is_open), {})

    def _write(self, head: str, lines: list[str], page: str, also: dict[str, Any]) -> None:
        bundle = {"text/plain": "\n".join([head, *lines]), "text/html": page, **also}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


class Widget:
    """The widget while the run goes on, and a page at its end: that is kept, and needs no kernel.

    Where nothing has drawn the widget after a while, the page is written from then on as well.
    """

    def __init__(self, begun_at: float) -> None:
        self._begun_at = begun_at
        self._page = Page(begun_at)
        self._view: Any = None
        self._until = 0.0

    def say(self, line: str) -> None:
        """See `View`."""
        self._page.say(line)

    def look(self, run: Run) -> None:
        """See `View`."""
        if self._view is None:
            self._show(run)
        elif not self._view.is_drawn and time.monotonic() > self._until:
            self._page.look(run)
        self._view.note(run, self._page.note)

    def end(self, result: RunResult | None) -> None:
        """See `View`."""
        if self._view is not None:
            self._page.is_open = self._view.is_open
            self._page.end(result)
            _keep(self._view)

    def _show(self, run: Run) -> None:
        from ccnb.widgets.view import RunView

        self._view = RunView([run], begun_at=self._begun_at)
        self._page.story = self._view.story(run)
        self._page.also = {_WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._view.model_id}}
        self._page.look(run)
        self._until = time.monotonic() + _DRAWN_S


def _keep(view: Any) -> None:
    """Let a widget live on for a while: another tab shows it still, and gets no page in its place."""
    _kept.append(view)
    while len(_kept) > _MOST_VIEWS:
        _kept.popleft().close()


def _last_pieces(story: Story) -> list[list[Item]]:
    """Return the pieces of as many of the last events as a saved notebook should hold, by event."""
    kept: list[list[Item]] = []
    size = 0
    for event in reversed(story.recent):
        pieces = story.items([event])
        size += sum(len(piece.head) + len(piece.body) for piece in pieces)
        if size > _MOST_KEPT and kept:
            break
        kept.insert(0, pieces)
    return kept
