"""Follow one run: what the place writes becomes events in the store, each once, as it comes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ccnb.errors import CcnbError, OutOfReachError, StartError
from ccnb.events import Event
from ccnb.mode.base import Mode, Place, PlaceState
from ccnb.redact import Redactor
from ccnb.runner import calls
from ccnb.runner.steps import Step, Steps
from ccnb.store import Progress, RunFolder, Store
from ccnb.stream import LineSplitter, Tally, parse

OnEvent = Callable[[Event], object]

HEARTBEAT_LIMIT_S = 60.0
"""How old the supervisor's last sign of life may be."""
_START_LIMIT_S = 180.0
"""How long a started place may take to its first sign of life: engines at their limits take a minute."""
AFTER_RESULT_S = 10.0
"""Headless agents have been seen to hang after their result: then this is how long they may."""
STOP_LIMIT_S = 20.0
"""How long the supervisor may take to end what we asked it to end."""
OVERDUE_S = 10.0
"""How long beyond its limit a step may last before we end the place: an agent can stop the supervisor."""
_LOOK_EVERY_S = 2.0
_SLOW_SHARE = 1 / 15
"""Of the silence that is taken for a wedge: from this much on, people are told of it."""
_REFUSED = (401, 403)
_LIMITED = (429, 529)


def chain(digest: bytes, line: bytes) -> bytes:
    """Return the digest of all lines so far and one more."""
    return hashlib.blake2b(digest + line, digest_size=16).digest()


def digest_of(folder: RunFolder, size: int) -> bytes:
    """Return the chained digest of the first bytes of the agent's output, to hold against what was read."""
    digest, lines = b"", LineSplitter()
    descriptor = folder.open_inside("out")
    if descriptor is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        while size > 0 and (chunk := file.read(min(size, 1 << 20))):
            size -= len(chunk)
            for _, line in lines.feed(chunk):
                digest = chain(digest, line)
    for _, line in lines.flush():
        digest = chain(digest, line)
    return digest if size == 0 else b""


class Follower:
    """Reads a place until its supervisor has finished, or the place is gone."""

    def __init__(
        self,
        *,
        run_id: str,
        store: Store,
        mode: Mode,
        place: Place,
        progress: Progress,
        redactor: Redactor,
        timeout_s: float,
        stall_s: float,
        last_step: str,
        on_event: OnEvent,
        on_step: Callable[[Step], object],
        on_look: Callable[[], object],
        is_watched: Callable[[], bool],
    ) -> None:
        self._run_id = run_id
        self._store = store
        self._folder = store.folder(run_id)
        self._mode = mode
        self._place = place
        self._progress = progress
        self._redactor = redactor
        self._timeout_s = timeout_s
        self._stall_s = stall_s
        self._last_step = last_step
        self._on_event = on_event
        self._on_step = on_step
        self._on_look = on_look
        self._is_watched = is_watched
        row = store.run(run_id)
        self.offset, self.digest = row.offset, row.digest
        self.tally = Tally()
        for event in store.events(run_id):
            self.tally.add(event)
        self.steps = Steps()
        self.gone: PlaceState | None = None
        """The place's last state, when it went before the supervisor had finished."""
        self._lines = LineSplitter(self.offset)
        self._over = asyncio.Event()
        self._stop_sent_at: float | None = None
        self._alive_at = self._step_at = time.monotonic()

    @property
    def health(self) -> str:
        """Return `ok`, `slow` or `rate_limited`: how the agent seems right now."""
        if self.tally.retry_status in _LIMITED:
            return "rate_limited"
        is_slow = self._is_at_work() and self._silent_s() > self._stall_s * _SLOW_SHARE
        return "slow" if is_slow and not self.tally.open_tools else "ok"

    async def follow(self) -> None:
        """Read until the end.

        Raises
        ------
        StartError
            The supervisor did not come up.
        """
        watch = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_steps())
                group.create_task(self._read_output())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            watch.cancel()

    async def stop(self, reason: str) -> None:
        """Ask the agent to end; the reason is written down first."""
        self._note_reason(reason)
        if self._stop_sent_at is None:
            self._stop_sent_at = time.monotonic()
            # An agent that hangs after its result has done its work, which is still to be checked.
            name = "enough" if reason == "after_result" else "stop"
            try:
                await self._mode.write(self._place, self._folder, name)
            except OutOfReachError:
                # The next look asks again.
                self._stop_sent_at = None
                if reason == "cancelled":
                    self._folder.want_cancel()

    def _note_reason(self, reason: str) -> None:
        if self._progress.stop_reason is None:
            self._progress.stop_reason = reason
            state = self._store.run(self._run_id).state
            self._store.set_state(self._run_id, state, self._progress)

    async def _read_steps(self) -> None:
        """Take the supervisor's notes until its last one, or until nothing can come any more."""
        begun = time.monotonic()
        async for chunk in self._mode.read(self._place, self._folder, "steps", 0):
            known = set(self.steps.done)
            for step in self.steps.feed(chunk):
                self._alive_at = time.monotonic()
                if step.name not in known:
                    self._step_at = self._alive_at
                self._on_step(step)
            # After the last thing that was asked for nothing can come that we need.
            if self.steps.are_over(self._last_step) or (self.gone and not chunk):
                break
            if not self.steps.done and time.monotonic() - begun > _START_LIMIT_S:
                status = (await self._mode.state(self._place)).status
                raise StartError(
                    f"nothing came from the place of run {self._run_id} within {_START_LIMIT_S:.0f} s "
                    f"(its state is {status!r}); run `ccnb doctor`"
                )
        self._over.set()

    async def _read_output(self) -> None:
        was_over = False
        async for chunk in self._mode.read(self._place, self._folder, "out", self.offset):
            if chunk:
                self._alive_at = time.monotonic()
                self._take([*self._lines.feed(chunk)])
                await self._act()
            elif was_over:
                break
            # Only a look that begins after the agent's end shows that there is no more.
            was_over = self._is_over()
        self._take([*self._lines.flush()])

    def _is_over(self) -> bool:
        """Return whether the agent can write no more."""
        setup = self.steps.done.get("setup")
        return self._over.is_set() or "agent" in self.steps or bool(setup and setup.code)

    def _take(self, lines: list[tuple[int, bytes]]) -> None:
        """Turn lines into events, keep them with the new offset, then hand them on."""
        if not lines:
            return
        now = datetime.now(UTC)
        events = []
        for offset, line in lines:
            self.digest = chain(self.digest, line)
            parsed = parse(line, offset=offset, arrived_at=now, redactor=self._redactor)
            if parsed is not None:
                events.append(parsed)
        self.offset = self._lines.offset
        self._store.append(self._run_id, events, self.offset, self.digest)
        for event, _ in events:
            self.tally.add(event)
            self._on_event(event)

    async def _act(self) -> None:
        """End a run at once whose credential the API refuses: the agent would retry for minutes."""
        if self.tally.retry_status in _REFUSED:
            await self.stop("refused")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            # A silence has no event to be told with.
            self._on_look()
            if self._is_watched():
                self._folder.note_watcher()
            try:
                await self._look()
            except OutOfReachError:
                # It goes on without us, and its silence is not its own.
                self._alive_at = time.monotonic()
            except CcnbError:
                # The engine doesn't answer. The run folder may still be written to, and its heartbeat
                # says whether it is.
                if min(self._silent_s(), self._folder.heartbeat_age_s) > HEARTBEAT_LIMIT_S:
                    self.gone = PlaceState("gone", detail="the engine doesn't answer")

    async def _look(self) -> None:
        silent_s = self._silent_s()
        if self._stop_sent_at and time.monotonic() - self._stop_sent_at > STOP_LIMIT_S:
            await self._end_place()
        elif self._folder.cancel_wanted:
            await self.stop("cancelled")
        elif self.tally.result is not None and silent_s > AFTER_RESULT_S and "agent" not in self.steps:
            await self.stop("after_result")
        elif "started" in self.steps and time.monotonic() - self._step_at > self._timeout_s + OVERDUE_S:
            # Whoever should have ended it doesn't, so there is nobody to ask.
            self._note_reason("timeout")
            await self._end_place()
        elif self._is_wedged(silent_s):
            await self.stop("wedged")
        if time.monotonic() - self._alive_at > _LOOK_EVERY_S:
            state = await self._mode.state(self._place)
            if state.status in ("ended", "gone") and not self._over.is_set():
                self.gone = state

    async def _end_place(self) -> None:
        """End a place that doesn't end by itself; one that still has the files is only given up."""
        if self._progress.archive:
            self.gone = PlaceState("ended", detail="it did not end by itself")
        else:
            await self._mode.destroy(self._place)

    def _is_wedged(self, silent_s: float) -> bool:
        if self.tally.retry_status in _LIMITED or not self._is_at_work():
            return False
        # A tool may take its time in silence, and has a limit of its own.
        if silent_s <= self._stall_s * (2 if self.tally.open_tools else 1):
            return False
        # Agents have been seen to wait for a busy API without a word; the gateway knows better.
        known = calls.read(self._folder)
        return not known or known[-1]["status"] not in _LIMITED

    def _is_at_work(self) -> bool:
        return "started" in self.steps and "agent" not in self.steps

    def _silent_s(self) -> float:
        return time.monotonic() - self._alive_at
