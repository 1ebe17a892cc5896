"""Runs while they go on: a small view that is written anew in a notebook, lines in a terminal."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from IPython.display import display

from ccnb import render
from ccnb.magics.page import Page
from ccnb.runner.handles import Run, RunResult
from ccnb.store import Store
from ccnb.widgets.rate import EVERY_S
from ccnb.widgets.story import Story

_DRAWN_S = 1.5
_MOST_VIEWS = 8
_WIDGET = "application/vnd.jupyter.widget-view+json"

_kept: deque[Any] = deque()


class View(Protocol):
    """Shows one run, or some together."""

    def say(self, line: str) -> None:
        """Take a line about what takes its time; from any thread."""

    def look(self, *runs: Run) -> None:
        """Show how the runs stand now; those that it hasn't seen yet come below the others."""

    def end(self, results: Mapping[str, RunResult]) -> None:
        """Show the last state, with results by the runs' ids; a result itself is the cell's value."""


def open_view(
    shell: Any,
    *,
    quiet: bool = False,
    awaited: bool = False,
    begun_at: float | None = None,
    together: bool = False,
) -> View:
    """Return the view of runs that fits the front end.

    Parameters
    ----------
    awaited
        Whether the kernel answers a page meanwhile: a widget needs that.
    begun_at
        Unix seconds from which times are counted; by default each run's own start.
    together
        Whether there may be several runs.
    """
    if quiet:
        return Nothing()
    if not hasattr(shell, "kernel"):
        return Lines(begun_at, together=together)
    return Widget(begun_at) if awaited and _has_widgets() else Page(_write, begun_at)


def go_on(shell: Any, view: View, runs: Sequence[Run]) -> None:
    """Show runs on a thread until they are over, behind cells that do something else."""

    def end() -> None:
        view.look(*runs)
        view.end(results_of(runs))

    def show() -> None:
        while not all(run.done for run in runs):
            view.look(*runs)
            time.sleep(EVERY_S)
        end()

    def end_with_cell(_: Any) -> None:
        # A client such as nbclient takes what comes with a cell, and nothing from a thread.
        if all(run.done for run in runs):
            shell.events.unregister("post_run_cell", end_with_cell)
            end()

    view.look(*runs)
    shell.events.register("post_run_cell", end_with_cell)
    threading.Thread(target=show, name="ccnb-behind", daemon=True).start()


def results_of(runs: Sequence[Run]) -> dict[str, RunResult]:
    """Return the results of those runs that have one, by their ids."""
    found: dict[str, RunResult] = {}
    for run in runs:
        row = Store().run(run.run_id)
        if row.record is not None:
            found[run.run_id] = RunResult.of(row.record, Store().home)
    return found


def _has_widgets() -> bool:
    return all(importlib.util.find_spec(name) for name in ("anywidget", "ipywidgets", "comm"))


def _write(bundle: Mapping[str, Any], handle: Any) -> Any:
    """Show something, or write anew what was shown; return the handle of it."""
    if handle is None:
        return display(dict(bundle), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    handle.update(dict(bundle), raw=True)
    return handle


class Nothing:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """See `View`."""

    def look(self, *runs: Run) -> None:
        """See `View`."""

    def end(self, results: Mapping[str, RunResult]) -> None:
        """See `View`."""


class Lines:
    """Prints each line once: for a terminal. Of several runs, their lines stand below their mode."""

    def __init__(self, begun_at: float | None, *, together: bool) -> None:
        self._begun_at = begun_at
        self._together = together
        self._stories: dict[str, Story] = {}
        self._last = ""

    def say(self, line: str) -> None:
        """See `View`."""
        self._print(render.one_line(line))

    def look(self, *runs: Run) -> None:
        """See `View`."""
        for run in runs:
            if run.run_id not in self._stories:
                self._stories[run.run_id] = Story.of(run, self._begun_at)
        for run_id, story in self._stories.items():
            while fresh := story.read():
                if run_id != self._last and self._together:
                    self._print(story.run.mode)
                self._last = run_id
                for line in story.lines(fresh):
                    self._print(line)

    def end(self, results: Mapping[str, RunResult]) -> None:
        """See `View`."""

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")


class Widget:
    """The widget while runs go on, and a page at their end: that is kept, and needs no kernel.

    Where nothing has drawn the widget after a while, the page is written from then on as well.
    """

    def __init__(self, begun_at: float | None) -> None:
        self._begun_at = begun_at
        self._page = Page(_write, begun_at)
        self._view: Any = None
        self._until = 0.0

    def say(self, line: str) -> None:
        """See `View`."""
        self._page.say(line)

    def look(self, *runs: Run) -> None:
        """See `View`."""
        if not runs:
            return
        first = self._view is None
        if first:
            self._open()
        for run in runs:
            self._add(run)
        if first or (not self._view.is_drawn and time.monotonic() > self._until):
            self._page.look(*runs)

    def end(self, results: Mapping[str, RunResult]) -> None:
        """See `View`."""
        if self._view is not None:
            self._page.unfolded = self._view.unfolded
            self._page.end(results)
            _keep(self._view)

    def _open(self) -> None:
        from ccnb.widgets.view import RunView

        self._view = RunView()
        self._page.also = {_WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._view.model_id}}
        self._until = time.monotonic() + _DRAWN_S

    def _add(self, run: Run) -> None:
        if run.run_id not in self._page.stories:
            self._view.add(run, begun_at=self._begun_at)
            self._page.stories[run.run_id] = self._view.story(run)
        self._view.note(run, self._page.note)


def _keep(view: Any) -> None:
    """Let a widget live on for a while: another tab shows it still, and gets no page in its place."""
    if view not in _kept:
        _kept.append(view)
    while len(_kept) > _MOST_VIEWS:
        _kept.popleft().close()
