"""A run while it goes on: a small view that is written anew in a notebook, lines in a terminal."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any, Protocol

from IPython.display import display

from ccnb import render
from ccnb.render import html
from ccnb.results import Event
from ccnb.runner.handles import Run, RunResult
from ccnb.stream import Tally

EVERY_S = 0.1
"""The view is written anew at most so often, and so often only if there is something new."""
_STILL_S = 1.0
_LAST, _MOST, _WIDTH = 8, 200, 160


class View(Protocol):
    """Shows one run."""

    def say(self, line: str) -> None:
        """Take a line about what takes its time; from any thread."""

    def look(self, run: Run) -> None:
        """Show how the run stands now."""

    def end(self, result: RunResult | None) -> None:
        """Show the last state; the result itself is the cell's value."""


def open_view(shell: Any, *, quiet: bool, begun_at: float | None = None) -> View:
    """Return the view of a run that fits the front end."""
    if quiet:
        return Nothing()
    begun_at = begun_at or time.time()
    return Page(begun_at) if hasattr(shell, "kernel") else Lines(begun_at)


class Nothing:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """See `View`."""

    def look(self, run: Run) -> None:
        """See `View`."""

    def end(self, result: RunResult | None) -> None:
        """See `View`."""


class Story:
    """What has been seen of a run, of which the last lines are kept."""

    def __init__(self, begun_at: float) -> None:
        self.tally = Tally()
        self.turns = 0
        self.tool = ""
        self.count = 0
        self.lines: deque[str] = deque(maxlen=_MOST)
        self._begun_at = begun_at
        self._message_id: str | None = None
        self._folder = ""
        self._after = -1

    def read(self, run: Run) -> list[str]:
        """Take in the events that are new; return their lines."""
        fresh: list[str] = []
        for event in run.events_after(self._after):
            self._after = event.offset
            self._take(event)
            since_s = max(0.0, event.at.timestamp() - self._begun_at)
            fresh += [
                f"{since_s:7.2f} s  {render.one_line(line.plain, _WIDTH)}"
                for line in render.event_lines(event, folder=self._folder)
            ]
        self.lines.extend(fresh)
        self.count += len(fresh)
        return fresh

    def _take(self, event: Event) -> None:
        self.tally.add(event)
        if event.subtype == "init":
            self._folder = str(event.raw.get("cwd") or "")
        if (
            event.type == "assistant"
            and event.message_id != self._message_id
            and not event.parent_tool_use_id
        ):
            self._message_id = event.message_id
            self.turns += 1
        for use in event.tool_uses:
            self.tool = f"{use.name} {render.tool_summary(use, self._folder)}"
        if not self.tally.open_tools:
            self.tool = ""

    def status(self, run: Run, note: str) -> str:
        """Return the line that says how the run stands."""
        waits = run.state in ("preparing", "starting")
        return render.status_line(
            state=run.state,
            health=run.health,
            elapsed_s=time.time() - self._begun_at,
            turns=self.turns,
            tokens=self.tally.final_usage.total_tokens,
            note=render.one_line(note if waits else self.tool, _WIDTH),
        ).plain.replace("  ", " · ")  # a page makes one space of two


class Lines:
    """Prints each line once: for a terminal."""

    def __init__(self, begun_at: float) -> None:
        self._story = Story(begun_at)

    def say(self, line: str) -> None:
        """See `View`."""
        self._print(render.one_line(line))

    def look(self, run: Run) -> None:
        """See `View`."""
        for line in self._story.read(run):
            self._print(line)

    def end(self, result: RunResult | None) -> None:
        """See `View`."""

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")


class Page:
    """One output that is written anew: for a notebook. It is bounded, whatever the run prints."""

    def __init__(self, begun_at: float) -> None:
        self._mode = ""
        self._begun_at = begun_at
        self._story = Story(begun_at)
        self._note = ""
        self._written_at = 0.0
        self._count = -1
        self._state = ""
        self._handle: Any = None

    def say(self, line: str) -> None:
        """See `View`."""
        # Whoever says it may be on another thread, whose output the notebook would put elsewhere.
        self._note = line

    def look(self, run: Run) -> None:
        """See `View`."""
        self._story.read(run)
        self._mode = run.mode
        now = time.monotonic()
        is_new = (self._story.count, run.state) != (self._count, self._state)
        if now - self._written_at < (EVERY_S if is_new else _STILL_S):
            return
        self._written_at, self._count, self._state = now, self._story.count, run.state
        status = f"{self._mode}: {self._story.status(run, self._note)}"
        self._write(status, list(self._story.lines)[-_LAST:], is_open=True)

    def end(self, result: RunResult | None) -> None:
        """See `View`."""
        if self._handle is None:
            return
        how = render.verdict(result).plain if result else "ended"
        took_s = result.timings.wall_s if result else time.time() - self._begun_at
        left = self._story.count - len(self._story.lines)
        turns = result.num_turns if result else self._story.turns
        words = f"{self._mode}: {how}, {turns} turns, {render.duration(took_s)}"
        if left > 0:
            words += f", the last {len(self._story.lines)} of {self._story.count} lines"
        self._write(words, list(self._story.lines), is_open=False)

    def _write(self, head: str, lines: list[str], *, is_open: bool) -> None:
        bundle = {
            "text/plain": "\n".join([head, *lines[-_LAST:]]),
            "text/html": html.lines(head, lines, is_open=is_open),
        }
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)
