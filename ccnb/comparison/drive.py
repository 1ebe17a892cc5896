"""From a matrix to finished rows: one path for a comparison that begins, and for one that goes on."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from ccnb.comparison import elsewhere, fate, locks, more
from ccnb.comparison.matrix import Arm, Matrix, Row
from ccnb.errors import CcnbError, RunNotFoundError, StoreError
from ccnb.render import duration, money
from ccnb.results import RunRecord
from ccnb.runner import api
from ccnb.runner import model as models
from ccnb.runner.handles import Run
from ccnb.spec import RunSpec
from ccnb.store import Progress, RunRow, Store, comparisons
from ccnb.store.comparisons import Attempt

Say = Callable[[str], None]

TRIES = 4
"""Of each row, where what failed was not the agent's doing."""
_PACE_S = {"fly": 1.0}
"""Between two places of a mode whose platform takes no more."""


@dataclass(frozen=True)
class Limits:
    """What the whole may take; `None` is no limit."""

    usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None


@dataclass
class Driver:
    """Brings every row of a comparison to its end, as far as its limits go."""

    name: str
    matrix: Matrix
    arms: tuple[Arm, ...]
    """As given by the caller: with the secrets, which the store doesn't have."""
    store: Store
    limits: Limits
    say: Say
    warnings: list[str] = field(default_factory=list)
    executor: Executor | None = None
    """Whose workers run the rows; without it this process does."""
    lock: locks.Lock | None = None
    """What each run is to meet."""
    on_run: Callable[[Run], object] | None = None
    """Told of each run that goes on in this process."""

    def __post_init__(self) -> None:
        self._tries: dict[int, list[Attempt]] = {}
        for attempt in comparisons.attempts(self.store, self.name):
            self._tries.setdefault(attempt.number, []).append(attempt)
        self._live: set[Run] = set()
        self._stopped = ""
        self._cancelled = False
        self._pinned: str | None = None
        self._usd = 0.0
        self._tokens = 0
        self._done = 0
        self._began = time.monotonic()
        self._turns: dict[str, asyncio.Lock] = {}
        self._next_place: dict[str, float] = {}
        self._rows = self.matrix.rows()

    async def drive(self) -> None:
        """Settle every row, and those that are added where an interval is wide.

        Raises
        ------
        ComparisonError
            What a run met isn't what the lock says.
        StoreError
        """
        await asyncio.to_thread(self._count_what_is_there)
        await self._settle_all(deque(self._rows))
        while rows := await self._more_rows():
            await self._settle_all(deque(rows))

    def cancel(self) -> None:
        """Begin no more rows and end the runs that go on; call on the background loop."""
        self._cancelled = True
        for run in self._live:
            run.cancel()

    @property
    def stopped(self) -> str:
        """Return why rows were left out; empty where none were."""
        return self._stopped

    async def _settle_all(self, queue: deque[Row]) -> None:
        while queue and self._pins(queue[0]) and self._pinned is None:
            # Alone: the model that answers it is then asked for by all others.
            await self._settle(queue.popleft())
        workers = [
            asyncio.ensure_future(self._work(line))
            for line, at_once in self._lines(queue)
            for _ in range(at_once)
        ]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            self.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise

    def _lines(self, queue: deque[Row]) -> list[tuple[deque[Row], int]]:
        """Return how the rows queue, and how many at once: all in one line, or each mode in its own."""
        limits = self.matrix.limits
        if not limits:
            return [(queue, self.matrix.concurrency)]
        lines: dict[str, deque[Row]] = {mode: deque() for mode in limits}
        for row in queue:
            lines[self.arms[row.arm].spec.mode].append(row)
        return [(lines[mode], at_once) for mode, at_once in limits.items()]

    async def _more_rows(self) -> list[Row]:
        """Return the rows of one more block, if any interval is too wide and nothing stops us."""
        if self._cancelled or self._stopped:
            return []
        longer = await asyncio.to_thread(more.add_block, self.name, self.store, self.matrix)
        if longer is None:
            return []
        before, self.matrix = len(self._rows), longer
        self._rows = longer.rows()
        self.say(f"an interval is still wide: block {self._rows[-1].block}, of {longer.max_repeats} at most")
        return self._rows[before:]

    async def _work(self, queue: deque[Row]) -> None:
        while queue and not self._cancelled and not self._is_spent():
            await self._settle(queue.popleft())

    async def _settle(self, row: Row) -> None:
        """Bring a row to an end that counts, if it can be had."""
        failed = 0
        while not self._cancelled and not self._is_spent():
            attempt = self._latest(row)
            kept = await asyncio.to_thread(self._look, attempt)
            if attempt is None or (kept is not None and kept.record is not None):
                # A finished run that counts never comes here again.
                if kept is not None and kept.record is not None and _counts(kept.record):
                    return self._took(row, kept.record)
                attempt = await asyncio.to_thread(self._next_attempt, row)
                kept = None
            kind = await self._run(row, attempt, kept)
            if kind is None:
                continue
            failed += 1
            if failed >= TRIES or not fate.may_pass(kind):
                self.say(f"row {row.number} is given up for now: {kind}")
                return None
            await asyncio.sleep(fate.pause_s(kind, failed))
        return None

    async def _run(self, row: Row, attempt: Attempt, kept: RunRow | None) -> str | None:
        """Run, or go on with, an attempt; return the cause of a failure that isn't the agent's."""
        try:
            if self.executor is not None and kept is None:
                result = await self._send(self.executor, row, attempt)
            else:
                result = await self._run_here(row, attempt, kept)
        except StoreError:
            raise
        except CcnbError as error:
            self.say(f"row {row.number}: {error.message}")
            return type(error).__name__
        self._spend(result)
        if _counts(result):
            if self.lock is not None:
                locks.check_run(self.lock, result)
            if self._pinned is None and self._pins(row):
                self._pinned = result.conditions.get("model")
            return None
        return result.error.kind if result.error else result.outcome

    async def _run_here(self, row: Row, attempt: Attempt, kept: RunRow | None) -> RunRecord:
        if kept is None:
            async with self._turn(self.arms[row.arm].spec.mode):
                run = await asyncio.to_thread(self._begin, row, attempt)
        else:
            run = await asyncio.to_thread(api.attach, attempt.run_id)
        self._live.add(run)
        if self.on_run is not None:
            self.on_run(run)
        if self._cancelled:
            run.cancel()
        try:
            return await run
        finally:
            self._live.discard(run)

    async def _send(self, executor: Executor, row: Row, attempt: Attempt) -> RunRecord:
        """Let a worker run it; what comes home, or was lost, is written down."""
        spec = self._spec(row)
        try:
            parcel = await asyncio.wrap_future(
                executor.submit(elsewhere.work, attempt.run_id, spec.to_dict())
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a cluster raises, the row is not lost
            return await asyncio.to_thread(elsewhere.failed, self.store, attempt.run_id, spec, error)
        return await asyncio.to_thread(elsewhere.unpack, self.store, parcel)

    def _begin(self, row: Row, attempt: Attempt) -> Run:
        spec = self._spec(row)
        progress = Progress(marks={"begin": time.time()})
        return api.begin(attempt.run_id, spec, self.store, progress, on_progress=self.say)

    def _spec(self, row: Row) -> RunSpec:
        spec = self.arms[row.arm].spec
        if self._pins(row):
            spec = replace(spec, model=self._pinned)
        usd, tokens = self.limits.usd, self.limits.tokens
        own = spec.budget_usd is not None or spec.budget_tokens is not None
        if (usd is not None or tokens is not None) and not own and models.needs_gateway(spec):
            # The gateway then holds the whole's limits, also while runs go on.
            group = f"compare-{self.name}"
            spec = replace(spec, budget_usd=usd, budget_tokens=tokens, budget_group=group)
        return spec

    def _pins(self, row: Row) -> bool:
        """Return whether a row's model is the agent's own default, which depends on the credential."""
        spec = self.arms[row.arm].spec
        return spec.model is None and models.needs_credential(spec)

    def _latest(self, row: Row) -> Attempt | None:
        tries = self._tries.get(row.number)
        return tries[-1] if tries else None

    def _look(self, attempt: Attempt | None) -> RunRow | None:
        if attempt is None:
            return None
        try:
            return self.store.run(attempt.run_id)
        except RunNotFoundError:
            return None

    def _next_attempt(self, row: Row) -> Attempt:
        tries = self._tries.setdefault(row.number, [])
        attempt = Attempt(row.number, len(tries), api.new_id())
        comparisons.add_attempt(self.store, self.name, attempt)
        tries.append(attempt)
        return attempt

    @asynccontextmanager
    async def _turn(self, mode: str) -> AsyncIterator[None]:
        """Let runs begin one after the other, no faster than the mode's platform makes places."""
        if mode not in _PACE_S:
            yield
            return
        async with self._turns.setdefault(mode, asyncio.Lock()):
            await asyncio.sleep(self._next_place.get(mode, 0.0) - time.monotonic())
            try:
                yield
            finally:
                self._next_place[mode] = time.monotonic() + _PACE_S[mode]

    def _count_what_is_there(self) -> None:
        for kept in comparisons.kept(self.store, self.name).values():
            record = kept.record
            if record is not None:
                self._usd += float(record.get("total_cost_usd") or 0.0)
                self._tokens += sum((record.get("usage") or {}).values())
                if kept.spec.get("model") is None and fate.counts(record["outcome"]):
                    self._pinned = self._pinned or (record.get("conditions") or {}).get("model")

    def _spend(self, record: RunRecord) -> None:
        self._usd += record.total_cost_usd
        self._tokens += record.usage.total_tokens

    def _is_spent(self) -> bool:
        limits = self.limits
        if limits.usd is not None and self._usd >= limits.usd:
            self._stopped = f"{money(limits.usd)} are spent"
        if limits.tokens is not None and self._tokens >= limits.tokens:
            self._stopped = f"{limits.tokens:,} tokens are used up"
        if limits.seconds is not None and time.monotonic() - self._began >= limits.seconds:
            self._stopped = f"{duration(limits.seconds)} are over"
        return bool(self._stopped)

    def _took(self, row: Row, record: RunRecord) -> None:
        self._done += 1
        arm = self.matrix.labels()[row.arm]
        what = "warm-up" if row.warmup else f"block {row.block}"
        took = duration(record.timings.wall_s)
        self.say(f"{self._done} of {len(self._rows)}: {arm}, {what}: {record.outcome} in {took}")


def _counts(record: RunRecord) -> bool:
    return fate.counts(record.outcome, record.spec.budget_group)
