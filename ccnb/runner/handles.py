"""What people hold: a live run, and the result of a finished one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ccnb import _loop, render
from ccnb._interrupts import Flag
from ccnb.errors import AgentError, CcnbError, WithoutInnerFrames
from ccnb.events import Event
from ccnb.gateway import network_log
from ccnb.render import html
from ccnb.render.shown import Bundle, Patch, Shown, plain
from ccnb.results import Connection, RunRecord
from ccnb.runner import workspace as workspaces
from ccnb.store import Events, RunFolder, Store

_LOOK_S = 0.25
_LOOK_COUNTS_S = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult(RunRecord, Shown):
    """A finished run: its record, and a hold on what lies in the store. Pickles without its events."""

    home: Path
    """The store's home."""

    @classmethod
    def of(cls, record: RunRecord, home: Path) -> Self:
        """Return the hold on a record whose run lies in a home's store."""
        values = {field.name: getattr(record, field.name) for field in dataclasses.fields(RunRecord)}
        return cls(**values, home=home)

    @property
    def folder(self) -> RunFolder:
        """Return the run's folder."""
        return RunFolder(self.home / "runs" / self.run_id)

    @property
    def workspace(self) -> Path:
        """Return the folder in which the agent worked."""
        return workspaces.location(self.folder, self.spec.workspace, copy=self.spec.copy)

    @property
    def events(self) -> Events:
        """Return the events, read from the store when asked for."""
        return Events(Store(self.home), self.run_id)

    @property
    def patch(self) -> Patch:
        """Return what the run changed, as a patch; ignored files are not in it."""
        # Decoded, not read as text: that would take line ends for something to mend.
        text, clean = (
            file.read_bytes().decode(errors="replace") if file.exists() else ""
            for file in (self.folder.patch, self.folder.clean_patch)
        )
        return Patch.of(text, clean or text)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Return the model calls as the gateway measured them; empty where it had no part.

        Of each `at` (when it began), `model`, `status`, `retries`, `first_byte_s`, `duration_s`, its tokens,
        `cost_usd` (list prices; `None` for an unknown model), and how it ended.
        """
        return Store(self.home).calls(self.run_id)

    @property
    def network(self) -> tuple[Connection, ...]:
        """Return what the egress proxy allowed and refused, in its order; empty where it had no part."""
        return network_log.read(self.folder.path)

    def __repr__(self) -> str:
        return f"<RunResult {self.run_id} {self.mode}: {render.verdict(self).plain}>"

    def _bundle(self) -> Bundle:
        text = plain(render.summary(self, kept_in=""))
        return {"text/plain": text, "text/html": html.result(self)}

    def raise_for_error(self) -> RunResult:
        """Return the result itself if the run ended well.

        Raises
        ------
        AgentError
        """
        if self.is_error:
            raise AgentError(f"run {self.run_id} ended in {self.outcome}: {self.error}")
        return self

    def apply(self, target: Path | str | None = None) -> Path:
        """Apply the patch to a folder (of a run on a copy: to the original) and return that folder.

        Raises
        ------
        CcnbError
            There is no folder to apply to, or the patch doesn't fit it.
        """
        if target is None and (self.spec.workspace is None or not self.spec.copy):
            raise CcnbError("this run did not work on a copy; name the folder to apply its patch to")
        folder = Path(target or str(self.spec.workspace)).absolute()
        workspaces.check(str(folder))
        workspaces.apply(self.folder.patch, folder)
        return folder

    def open(self) -> None:
        """Show the workspace in the system's file manager."""
        program = "open" if sys.platform == "darwin" else "xdg-open"
        try:
            subprocess.Popen([program, str(self.workspace)], start_new_session=True)
        except FileNotFoundError:
            raise CcnbError(f"{program} isn't here; the files are in {self.workspace}") from None


class Run:
    """A run that may still go on. Iterate over it for its events as they come; await it for its result."""

    def __init__(self, run_id: str, store: Store) -> None:
        self.run_id = run_id
        self._store = store
        self._iterators: list[Flag] = []
        """Of each that waits for events: set when there may be new ones."""
        self._state = "preparing"
        self._health = "ok"
        self._watchers = 0
        self._looked_at = -math.inf
        self._cancel_wanted = asyncio.Event()
        self._future: concurrent.futures.Future[RunResult] | None = None

    @property
    def state(self) -> str:
        """Return `preparing`, `starting`, `running`, `checking`, `collecting` or `done`."""
        return self._state

    @cached_property
    def mode(self) -> str:
        """Return the mode that it runs in; never `auto`."""
        return self._store.run(self.run_id).mode

    @property
    def health(self) -> str:
        """Return `ok`, `slow` (silent for a fifteenth of `stall_s`: a minute) or `rate_limited`."""
        return self._health

    @property
    def events(self) -> Events:
        """Return the events so far."""
        self._looked_at = time.monotonic()
        return Events(self._store, self.run_id)

    def events_after(self, offset: int) -> Iterator[Event]:
        """Yield the events so far that begin after a byte of the output."""
        self._looked_at = time.monotonic()
        return self._store.events(self.run_id, after=offset)

    @property
    def failed(self) -> bool:
        """Return whether it has ended without a result: the infrastructure failed."""
        return self.done and self._needed().exception() is not None

    @property
    def done(self) -> bool:
        """Return whether it has ended."""
        return self._future is not None and self._future.done()

    def result(self) -> RunResult:
        """Wait for the end and return the result. Ctrl-C cancels the run.

        Raises
        ------
        CcnbError
            The infrastructure failed.
        """
        with WithoutInnerFrames(), self._watched():
            return _loop.wait(self._needed(), self.cancel)

    def cancel(self) -> None:
        """Ask for the end; the result then has the outcome `cancelled`."""
        _loop.call(self._cancel_wanted.set)

    def __iter__(self) -> Iterator[Event]:
        with self._watched(), self._notified() as changed:
            for event in self._events_or_waits():
                if event is not None:
                    yield event
                    continue
                changed.wait(_LOOK_S)
                changed.clear()

    async def __aiter__(self) -> AsyncIterator[Event]:
        with self._watched():
            for event in self._events_or_waits():
                if event is not None:
                    yield event
                else:
                    await asyncio.sleep(_LOOK_S / 5)

    def _events_or_waits(self) -> Iterator[Event | None]:
        """Yield the events as they come, `None` when there is no new one, and end with the run."""
        after = -1
        while True:
            # Only a look that begins after the end shows that there is no more.
            over = self.done
            for event in self._store.events(self.run_id, after=after):
                after = event.offset
                yield event
            if over:
                return
            yield None

    def __await__(self) -> Generator[Any, None, RunResult]:
        with WithoutInnerFrames(), self._watched():
            return (yield from _loop.bridge(self._needed()).__await__())

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self._state}>"

    @property
    def _is_watched(self) -> bool:
        """Return whether somebody waits for it, or has just looked: a far place is then asked more often."""
        return self._watchers > 0 or time.monotonic() - self._looked_at < _LOOK_COUNTS_S

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Count as somebody who wants to know soon how it goes."""
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    @contextmanager
    def _notified(self) -> Iterator[Flag]:
        """Give a flag that is set when there may be new events."""
        changed = Flag()
        self._iterators.append(changed)
        try:
            yield changed
        finally:
            self._iterators.remove(changed)

    def _needed(self) -> concurrent.futures.Future[RunResult]:
        assert self._future is not None, "a Run comes from start() or attach()"  # noqa: S101 - for mypy
        return self._future

    def _set(self, *, state: str | None = None, health: str | None = None) -> None:
        self._state, self._health = state or self._state, health or self._health
        self._notify()

    def _notify(self) -> None:
        for changed in tuple(self._iterators):
            changed.set()
