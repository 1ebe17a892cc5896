"""The live view of runs, as a widget.

Its traits hold nothing of a run: they are written into saved notebooks. All of it goes to the page in
messages, and a page asks for the whole once it has drawn the view, be it for the first time or anew.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anywidget

from ccnb.errors import CcnbError
from ccnb.events import Event
from ccnb.render import duration, html
from ccnb.render.conversation import Item
from ccnb.render.runs import verdict, verdict_style
from ccnb.results import RunRecord
from ccnb.runner import api
from ccnb.runner.handles import Run
from ccnb.store import Store
from ccnb.widgets.rate import EVERY_S, Allowance
from ccnb.widgets.story import Story

_STATIC = Path(__file__).parent / "static"
_LAST = 8
_PAGE = 100
_WHOLE_BYTES = 60_000
_HEAD_S = 0.5


class RunView(anywidget.AnyWidget):
    """Shows one run or many while they go on, and afterwards.

    Parameters
    ----------
    runs
        What to show, one below the other.
    begun_at
        Unix seconds from which times are counted; by default each run's own start.
    """

    _esm = _STATIC / "runview.js"
    _css = _STATIC / "runview.css"

    def __init__(self, runs: Iterable[Run] = (), *, begun_at: float | None = None) -> None:
        super().__init__()
        self.is_drawn = False
        self._rows: dict[str, _Row] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self.on_msg(self._hear)
        for run in runs:
            self.add(run, begun_at=begun_at)

    def story(self, run: Run) -> Story:
        """Return what is known of one of its runs."""
        return self._rows[run.run_id].story

    @property
    def unfolded(self) -> set[str]:
        """Return the ids of the runs whose conversation somebody has unfolded."""
        return {row.run_id for row in self._rows.values() if row.is_open}

    def add(self, run: Run, *, begun_at: float | None = None) -> None:
        """Show one more run, from now on."""
        with self._lock:
            self._rows[run.run_id] = _Row(Story.of(run, begun_at))
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="ccnb-view", daemon=True)
                self._thread.start()

    def note(self, run: Run, line: str) -> None:
        """Say what is waited for, where there is nothing to see yet."""
        if run.run_id in self._rows:
            self._rows[run.run_id].note = line

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and what is shown in its place by a page that has none."""
        bundle = super()._repr_mimebundle_(**options)
        data: Any = bundle[0] if isinstance(bundle, tuple) else bundle
        with self._lock:
            shown = [(row.in_words(), row.lines()) for row in self._rows.values()]
        data["text/plain"] = "\n".join(line for head, lines in shown for line in (head, *lines))
        data["text/html"] = "".join(html.lines(head, lines) for head, lines in shown)
        return bundle

    def _follow(self) -> None:
        """Look at the runs until all are over; on a thread, so that a busy kernel shows them too."""
        while True:
            with self._lock:
                going_on = [row for row in self._rows.values() if not row.is_over]
                if not going_on:
                    self._thread = None
                    return
            for row in going_on:
                with self._lock:
                    row.look()
            self._tell_news(going_on)
            time.sleep(EVERY_S)

    def _tell_news(self, rows: Iterable[_Row]) -> None:
        """Tell what is new of all runs in one message: a page is drawn anew once for it."""
        with self._lock:
            news = [told for row in rows if (told := row.news()) is not None]
            if news:
                self._tell("more", news)

    def _hear(self, _: Any, content: Any, __: Any) -> None:
        """Do what a page asks for; it only schedules or answers."""
        if not isinstance(content, dict):
            return
        if content.get("kind") == "ready":
            with self._lock:
                self.is_drawn = True
                self._tell("all", [row.whole() for row in self._rows.values()])
            return
        row = self._rows.get(str(content.get("run")))
        action = _ACTIONS.get(str(content.get("kind")))
        if row is not None and action is not None:
            with self._lock:
                action(self, row, content)

    def _stop(self, row: _Row, _: dict[str, Any]) -> None:
        row.story.run.cancel()

    def _open(self, row: _Row, content: dict[str, Any]) -> None:
        row.is_open = bool(content.get("open"))
        if row.is_open:
            self._tell("all", [row.whole()])

    def _page(self, row: _Row, content: dict[str, Any]) -> None:
        """Send the events before one, by their numbers in the run."""
        before = content.get("before")
        end = row.story.count if not isinstance(before, int) else max(0, min(before, row.story.count))
        first = max(0, end - _PAGE)
        events = row.story.run.events[first:end]
        pieces, first = row.fit(events, end, _WHOLE_BYTES)
        self._tell("page", [{"run": row.run_id, "first": first, "end": end, "items": pieces}])

    def _tell(self, kind: str, rows: Sequence[dict[str, Any]]) -> None:
        self.send({"kind": kind, "rows": list(rows)})


class _Row:
    """One run of a view, and what its pages have been told of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.run_id = story.run.run_id
        self.allowance = Allowance()
        self.is_open = False
        self.is_over = False
        self.note = ""
        self._told: tuple[Any, ...] = ()
        self._told_count = 0
        self._head_at = 0.0
        self._owes_head = False

    def look(self) -> None:
        """Take in what is new, and the result when the run is over."""
        over = self.story.run.done
        try:
            self.story.read_all()
            if over:
                self.story.finish(_record(self.story.run))
                self.is_over = True
        except CcnbError as error:
            self.note, self.is_over = error.message, True

    def news(self) -> dict[str, Any] | None:
        """Return what a page doesn't know yet, as far as it may be sent now; it counts as sent."""
        now, over = time.monotonic(), self.is_over
        fresh, count = self.story.since(self._told_count)
        state = (self.story.run.state, self.story.run.health, self.story.tool, self.note, over)
        self._owes_head = self._owes_head or bool(fresh) or state != self._told
        due = self._owes_head and (state != self._told or now - self._head_at >= _HEAD_S)
        if not (fresh or due) or (self.allowance.left <= 0 and not over):
            return None
        news: dict[str, Any] = {"run": self.run_id}
        if due:
            self._told, self._head_at, self._owes_head = state, now, False
            news = self.head()
        if fresh:
            news["lines"] = self.lines()
        if fresh and self.is_open:
            budget = max(4_000, min(self.allowance.left, _WHOLE_BYTES))
            news["items"], news["first"] = self.fit(fresh, count, budget)
        self._told_count = count
        self.allowance.take(len(json.dumps(news)))
        return news

    def whole(self) -> dict[str, Any]:
        """Return all that a page shows of it."""
        whole = self.head() | {"lines": self.lines(), "open": self.is_open}
        if self.is_open:
            events, count = self.story.since(0)
            whole["items"], whole["first"] = self.fit(events, count, _WHOLE_BYTES)
        return whole

    def head(self) -> dict[str, Any]:
        """Return the line about the run, ready to be shown."""
        story, record = self.story, self.story.record
        run = story.run
        word = verdict(record).plain if record else ("ended" if self.is_over else run.state)
        look = verdict_style(record) if record else ("red" if self.is_over else "cyan")
        health = "" if self.is_over or run.health == "ok" else run.health.replace("_", " ")
        return {
            "run": self.run_id,
            "mode": run.mode,
            "word": word,
            "look": look,
            "health": health,
            "over": self.is_over,
            "elapsed_s": round(story.elapsed_s(), 2),
            "counted": story.counted(),
            "doing": self.note if self.is_over else story.doing(self.note),
            "phases": story.phases(),
            "count": story.count,
        }

    def in_words(self) -> str:
        """Return the line about the run as a text."""
        head = self.head()
        parts = (head["word"], duration(head["elapsed_s"]), head["counted"], head["doing"])
        return f"{head['mode']}: {' · '.join(part for part in parts if part)}"

    def lines(self) -> list[str]:
        """Return the last lines."""
        found: list[str] = []
        for event in reversed(self.story.recent):
            found = [*self.story.lines([event]), *found]
            if len(found) >= _LAST:
                break
        return found[-_LAST:]

    def fit(self, events: Sequence[Event], end: int, most_bytes: int) -> tuple[list[dict[str, Any]], int]:
        """Return the last of some events as pieces that fit, and the number of the first event among them.

        `end` is the number after the last one's.
        """
        pieces: list[dict[str, Any]] = []
        first, size = end, 0
        for number, event in zip(range(end - 1, -1, -1), reversed(events), strict=False):
            made = [_plain(item, number) for item in self.story.items([event])]
            size += len(json.dumps(made))
            if size > most_bytes and pieces:
                break
            pieces, first = [*made, *pieces], number
        return pieces, first


_ACTIONS: dict[str, Callable[[RunView, _Row, dict[str, Any]], None]] = {
    "stop": RunView._stop,  # noqa: SLF001 - they are its own
    "open": RunView._open,  # noqa: SLF001 - see above
    "page": RunView._page,  # noqa: SLF001 - see above
}


def _plain(item: Item, number: int) -> dict[str, Any]:
    return {
        "n": number,
        "kind": item.kind,
        "head": item.head,
        "body": item.body,
        "tool": item.tool_use_id,
        "failed": item.failed,
    }


def _record(run: Run) -> RunRecord | None:
    """Return the record of a run that has ended, if it got as far as one."""
    row = Store().run(run.run_id)
    return api.result_of(row) if row.record else None
