"""What is known of a run that is looked at: its numbers so far, and its last events."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Self

from ccnb import render
from ccnb.events import Event
from ccnb.gateway.prices import cost_usd
from ccnb.render.conversation import Item, items
from ccnb.render.palette import PHASE_COLOURS
from ccnb.results import RunRecord, Timings
from ccnb.runner.handles import Run
from ccnb.runner.timeline import timings
from ccnb.store import Store
from ccnb.stream import Tally

MOST = 200
"""So many of the last events are kept; the others are in the store."""
WIDTH = 160
_AT_ONCE = 2_000
_REMEMBERED = 1024
_LEAST_USD = 0.00005
_NOW = {"preparing": "create", "starting": "start", "running": "agent", "checking": "check"}


class Story:
    """What has been seen of one run."""

    def __init__(self, run: Run, begun_at: float) -> None:
        self.run = run
        self.begun_at = begun_at
        self.tally = Tally()
        self.turns = 0
        self.tool = ""
        self.count = 0
        self.recent: deque[Event] = deque(maxlen=MOST)
        self.record: RunRecord | None = None
        self._spent = Spent()
        self._lock = threading.Lock()
        self._message_id: str | None = None
        self._folder = ""
        self._after = -1
        self._marks: Mapping[str, float] = {}
        self._marked = ""

    @classmethod
    def of(cls, run: Run, begun_at: float | None = None) -> Self:
        """Return the story of a run, with its times from its own start unless another is given."""
        return cls(run, begun_at or Store().run(run.run_id).created_at.timestamp())

    def read(self) -> list[Event]:
        """Take in events that are new, so many at once; return them. From any thread."""
        with self._lock:
            fresh = list(islice(self.run.events_after(self._after), _AT_ONCE))
            for event in fresh:
                self._after = event.offset
                self._take(event)
            self.recent.extend(fresh)
            self.count += len(fresh)
        return fresh

    def read_all(self) -> None:
        """Take in all events that are new."""
        while self.read():
            pass

    def since(self, count: int) -> tuple[list[Event], int]:
        """Return the events after so many, as far as they are kept, and how many there are by now."""
        with self._lock:
            fresh = min(self.count - count, len(self.recent))
            return list(islice(self.recent, len(self.recent) - fresh, None)), self.count

    def finish(self, record: RunRecord | None) -> None:
        """Take the record of the finished run, where there is one."""
        self.record = record

    def lines(self, events: Iterable[Event]) -> list[str]:
        """Return events as lines of text, each with its time since the start."""
        return [
            f"{max(0.0, event.at.timestamp() - self.begun_at):7.2f} s  {render.one_line(line.plain, WIDTH)}"
            for event in events
            for line in render.event_lines(event, folder=self._folder)
        ]

    def items(self, events: Iterable[Event]) -> list[Item]:
        """Return events as pieces of the conversation."""
        return [item for event in events for item in items(event, folder=self._folder)]

    def elapsed_s(self) -> float:
        """Return how long it has taken so far."""
        return self.record.timings.wall_s if self.record else time.time() - self.begun_at

    def status(self, note: str) -> str:
        """Return the line that says how the run stands."""
        return render.status_line(
            state=self.run.state,
            health=self.run.health,
            elapsed_s=self.elapsed_s(),
            turns=self.turns,
            tokens=self.tally.final_usage.total_tokens,
            note=self.doing(note),
        ).plain.replace("  ", " · ")  # a page makes one space of two

    def doing(self, note: str) -> str:
        """Return the tool in use; before the agent works, what is waited for."""
        return render.one_line(note if self.run.state in ("preparing", "starting") else self.tool, WIDTH)

    def counted(self) -> str:
        """Return turns, tokens and dollars so far."""
        record = self.record
        turns = record.num_turns if record else self.turns
        usage = record.usage if record else self.tally.final_usage
        usd = record.total_cost_usd if record else self._spent.usd
        cost = f" · {'' if record else '≈ '}{render.money(usd)}" if usd >= _LEAST_USD else ""
        plural = "" if turns == 1 else "s"
        return f"{turns} turn{plural} · {render.count(usage.total_tokens)} tokens{cost}" if turns else ""

    def phases(self) -> list[tuple[str, float, str]]:
        """Return each phase so far with its seconds and its colour."""
        found = self.record.timings if self.record else self._timings()
        phases = [(name, getattr(found, f"{name}_s"), colour) for name, colour in PHASE_COLOURS.items()]
        return [(name.replace("_", " "), round(s, 2), colour) for name, s, colour in phases if s >= 0.005]

    def _timings(self) -> Timings:
        if self.run.state != self._marked:
            self._marked = self.run.state
            self._marks = dict(Store().run(self.run.run_id).progress.marks)
        marks = {"begin": self.begun_at, **self._marks}
        if self.tally.first_at:
            marks.setdefault("first_event", self.tally.first_at.timestamp())
        found = timings(marks | {_NOW.get(self.run.state, "collect"): time.time()}, self.tally)
        # What a tool takes that is at work is told when it has ended.
        return found if found.agent_s else replace(found, model_s=0.0)

    def _take(self, event: Event) -> None:
        self.tally.add(event)
        if event.subtype == "init":
            self._folder = str(event.raw.get("cwd") or "")
        if event.type == "assistant":
            self._spent.add(event)
            if event.message_id != self._message_id and not event.parent_tool_use_id:
                self._message_id = event.message_id
                self.turns += 1
            for use in event.tool_uses:
                self.tool = f"{use.name} {render.tool_summary(use, self._folder)}"
        if not self.tally.open_tools:
            self.tool = ""


class Spent:
    """What the messages so far cost by list prices; each counts once, with its latest usage."""

    def __init__(self) -> None:
        self.usd = 0.0
        self._messages: OrderedDict[str, float] = OrderedDict()

    def add(self, event: Event) -> None:
        """Count a message of the agent's."""
        message: Any = event.raw.get("message")
        usage = message.get("usage") if isinstance(message, Mapping) else None
        if event.message_id is None or not isinstance(usage, Mapping):
            return
        usd = cost_usd(event.model, usage) or 0.0
        self.usd += usd - self._messages.pop(event.message_id, 0.0)
        self._messages[event.message_id] = usd
        if len(self._messages) > _REMEMBERED:
            self._messages.popitem(last=False)
