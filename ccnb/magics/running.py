"""Run what a cell asks for: one implementation, awaited in a notebook, waited for elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from IPython.core.error import UsageError

from ccnb.errors import CcnbError
from ccnb.magics.live import View, open_view
from ccnb.magics.purse import Purse
from ccnb.magics.request import Request
from ccnb.render import one_line
from ccnb.runner import api
from ccnb.runner.handles import Run, RunResult
from ccnb.runner.lists import ResultList
from ccnb.store import Store

T = TypeVar("T")

_LOOK_S = 0.05
_END_LIMIT_S = 20.0


class Waiting(Protocol):
    """How time passes: with the kernel's loop, or without any."""

    answers: bool
    """Whether the kernel answers its front end meanwhile."""

    def pause(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""

    def start(self, begin: Callable[[], Run]) -> Awaitable[Run]:
        """Start a run; on an interrupt see that it doesn't go on unseen."""


class Blocking:
    """Holds everything up meanwhile. Its coroutines never suspend: see `complete`."""

    answers = False

    async def pause(self, seconds: float) -> None:
        """See `Waiting`."""
        time.sleep(seconds)  # noqa: ASYNC251 - there is no loop

    async def start(self, begin: Callable[[], Run]) -> Run:
        """See `Waiting`."""
        return begin()


class OnLoop:
    """Lets the kernel answer meanwhile: a Stop button, another comm."""

    answers = True

    async def pause(self, seconds: float) -> None:
        """See `Waiting`."""
        await asyncio.sleep(seconds)

    async def start(self, begin: Callable[[], Run]) -> Run:
        """See `Waiting`."""
        starting = asyncio.ensure_future(asyncio.to_thread(begin))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            run = await starting
            run.cancel()
            await asyncio.wait([asyncio.ensure_future(_ended(run))], timeout=_END_LIMIT_S)
            raise


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it was to wait without a loop")


async def perform(
    request: Request, shell: Any, purse: Purse, limit_usd: float | None, waiting: Waiting
) -> Any:
    """Run in each mode, one after the other, and return the cell's value.

    Raises
    ------
    UsageError
        It was interrupted.
    CcnbError
    """
    made: list[Any] = []
    for mode in request.modes:
        budget = purse.budget_usd(request.options, limit_usd)
        limits = {} if budget is None else {"budget_usd": budget}
        view = open_view(shell, quiet=request.quiet or request.in_background, awaited=waiting.answers)
        options = {**request.options, **limits, "mode": mode, "on_progress": view.say}
        begin = partial(api.start, request.prompt, **options)
        if request.in_background:
            run = await waiting.start(begin)
            purse.promise(run, budget)
            made.append(run)
            continue
        made += await _one(begin, view, waiting, purse, several=len(request.modes) > 1)
    if request.in_background:
        _say_ids(made)
        return made if request.several else made[0]
    return ResultList(made) if request.several else made[0]


async def _one(
    begin: Callable[[], Run], view: View, waiting: Waiting, purse: Purse, *, several: bool
) -> list[RunResult]:
    begun_at = time.time()
    try:
        run = await waiting.start(begin)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise UsageError("interrupted before the agent had begun; nothing goes on") from None
    try:
        result = await follow(run, view, waiting)
    except CcnbError as error:
        stored = _stored(run)
        if not several:
            raise
        # No row is lost: the others are still run.
        say(error.message)
        return [stored] if stored else []
    # One that was found again has been paid for.
    if result.started_at.timestamp() >= begun_at:
        purse.take(result)
    return [result]


async def follow(run: Run, view: View, waiting: Waiting) -> RunResult:
    """Show a run to its end and return its result; an interrupt ends the run.

    Raises
    ------
    UsageError
        It was interrupted; what became of the run is said.
    CcnbError
    """
    try:
        await _watch(run, view, waiting)
    except (KeyboardInterrupt, asyncio.CancelledError):
        run.cancel()
        raise UsageError(await _stopped(run, view, waiting)) from None
    result = _stored(run) if run.failed else run.result()
    view.end(result)
    return run.result()


async def watch(run: Run, view: View, waiting: Waiting) -> RunResult:
    """Show a run to its end and return its result; an interrupt ends the showing only.

    Raises
    ------
    UsageError
    CcnbError
    """
    try:
        await _watch(run, view, waiting)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise UsageError(f"run {run.run_id} goes on; `%cc_stop {run.run_id}` ends it") from None
    view.end(run.result())
    return run.result()


async def _watch(run: Run, view: View, waiting: Waiting) -> None:
    while not run.done:
        view.look(run)
        await waiting.pause(_LOOK_S)
    view.look(run)


async def _stopped(run: Run, view: View, waiting: Waiting) -> str:
    """Wait for the end of a run that was asked to end; return what is to be said of it."""
    until = time.monotonic() + _END_LIMIT_S
    # A second interrupt ends the waiting.
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        while not run.done and time.monotonic() < until:
            await waiting.pause(_LOOK_S)
    view.look(run)
    view.end(_stored(run))
    if not run.done:
        return f"interrupted: run {run.run_id} may still go on; `%cc_stop {run.run_id}` ends it"
    return (
        f"interrupted: run {run.run_id} was stopped and cleaned up; what it did is kept: "
        f"ccnb.attach({run.run_id!r}).result()"
    )


def say(text: str) -> None:
    """Say something in red, below the cell."""
    sys.stderr.write(one_line(text) + "\n")


def _say_ids(runs: list[Run]) -> None:
    for run in runs:
        words = f"run {run.run_id} goes on; %cc_attach {run.run_id} shows it, %cc_stop {run.run_id} ends it"
        sys.stdout.write(words + "\n")


def _stored(run: Run) -> RunResult | None:
    row = Store().run(run.run_id)
    return api.result_of(row) if row.record else None


async def _ended(run: Run) -> None:
    try:
        await run
    except CcnbError:
        return
