"""Runs as one output that is written anew: for a notebook. It is bounded, whatever the runs print."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ccnb import render
from ccnb.render import html
from ccnb.render.conversation import Item, conversation
from ccnb.runner.handles import Run, RunResult
from ccnb.widgets.rate import EVERY_S
from ccnb.widgets.story import Story

Write = Callable[[Mapping[str, Any], Any], Any]
"""Takes a bundle by MIME type and the handle that it gave for the one before, if any."""

_STILL_S = 1.0
_LAST = 8
_LEAST = 2
_MOST_KEPT = 100_000


class Page:
    """See `ccnb.magics.live.View`.

    Parameters
    ----------
    write
        How it is shown.
    begun_at
        Unix seconds from which times are counted; by default each run's own start.
    """

    def __init__(self, write: Write, begun_at: float | None) -> None:
        self.also: dict[str, Any] = {}
        """What else the output is while the runs go on, by MIME type."""
        self.unfolded: Collection[str] = ()
        """The runs whose conversation is unfolded at the end."""
        self.stories: dict[str, Story] = {}
        self.note = ""
        """What is waited for."""
        self._begun_at = begun_at
        self._written_at = 0.0
        self._seen: Any = None
        self._show = write
        self._handle: Any = None

    def say(self, line: str) -> None:
        """See `View`."""
        # Whoever says it may be on another thread, whose output the notebook would put elsewhere.
        self.note = line

    def look(self, *runs: Run) -> None:
        """See `View`."""
        for run in runs:
            if run.run_id not in self.stories:
                self.stories[run.run_id] = Story.of(run, self._begun_at)
        for story in self.stories.values():
            story.read_all()
        now = time.monotonic()
        seen = [(story.count, story.run.state) for story in self.stories.values()]
        if not seen or now - self._written_at < (_STILL_S if seen == self._seen else EVERY_S):
            return
        self._written_at, self._seen = now, seen
        shown = [(f"{s.run.mode}: {s.status(self.note)}", self._last_lines(s)) for s in self.stories.values()]
        self._write(shown, "".join(html.lines(head, lines) for head, lines in shown), self.also)

    def end(self, results: Mapping[str, RunResult]) -> None:
        """See `View`."""
        if self._handle is None:
            return
        shown, page = [], ""
        for run_id, story in self.stories.items():
            story.read_all()
            kept = _last_pieces(story, _MOST_KEPT // len(self.stories))
            words = _ended(story, results.get(run_id), len(kept))
            shown.append((words, self._last_lines(story)))
            body = conversation([piece for pieces in kept for piece in pieces])
            page += html.folded(words, body, is_open=run_id in self.unfolded)
        self._write(shown, page, {})

    def _last_lines(self, story: Story) -> list[str]:
        most = max(_LEAST, _LAST // len(self.stories))
        return story.lines(list(story.recent)[-most:])[-most:]

    def _write(self, shown: list[tuple[str, list[str]]], page: str, also: Mapping[str, Any]) -> None:
        text = "\n".join(line for head, lines in shown for line in (head, *lines))
        self._handle = self._show({"text/plain": text, "text/html": page, **also}, self._handle)


def _ended(story: Story, result: RunResult | None, kept: int) -> str:
    """Return the line about a run that is over."""
    how = render.verdict(result).plain if result else "ended"
    took_s = result.timings.wall_s if result else time.time() - story.begun_at
    turns = result.num_turns if result else story.turns
    words = f"{story.run.mode}: {how}, {turns} turn{'' if turns == 1 else 's'}, {render.duration(took_s)}"
    return words if kept >= story.count else f"{words}, the last {kept} of {story.count} events"


def _last_pieces(story: Story, most: int) -> list[list[Item]]:
    """Return the pieces of as many of the last events as a saved notebook should hold, by event."""
    kept: list[list[Item]] = []
    size = 0
    for event in reversed(story.recent):
        pieces = story.items([event])
        size += sum(len(piece.head) + len(piece.body) for piece in pieces)
        if size > most and kept:
            break
        kept.insert(0, pieces)
    return kept
