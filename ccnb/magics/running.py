"""Run what a cell asks for: one implementation, awaited in a notebook, waited for elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython

from ccnb.errors import CcnbError
from ccnb.magics.live import View, go_on, open_view, results_of
from ccnb.magics.request import Request
from ccnb.runner import api
from ccnb.runner.handles import Run, RunResult
from ccnb.widgets.purse import purse

T = TypeVar("T")

LOOK_S = 0.05
END_LIMIT_S = 20.0
KERNEL_END_S = 1.5
"""How long after an interrupt the kernel may be asked to end, on a busy machine."""


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
            if not await kernel_ends(self):
                run.cancel()
                await asyncio.wait([asyncio.ensure_future(_ended(run))], timeout=END_LIMIT_S)
            raise


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it was to wait without a loop")


async def perform(request: Request, shell: Any, waiting: Waiting) -> Any:
    """Do what a cell asks for and return the cell's value.

    Raises
    ------
    UsageError
        It was interrupted.
    CcnbError
    """
    if request.in_background:
        return await _in_background(request, shell, waiting)
    if request.several:
        from ccnb.magics.comparing import compared

        return await compared(request, shell, waiting)
    view = open_view(shell, quiet=request.quiet, awaited=waiting.answers, begun_at=time.time())
    return await follow(await _start(request, request.modes[0], waiting, view.say), view, waiting)


async def _in_background(request: Request, shell: Any, waiting: Waiting) -> Run | list[Run]:
    """Start a run in each mode and leave them to themselves; a notebook shows them all the same."""
    runs = [await _start(request, mode, waiting) for mode in request.modes]
    for run in runs:
        words = f"run {run.run_id} goes on; %cc_attach {run.run_id} shows it, %cc_stop {run.run_id} ends it"
        sys.stdout.write(words + "\n")
    if hasattr(shell, "kernel"):
        go_on(shell, open_view(shell, quiet=request.quiet, awaited=True), runs)
    return runs if request.several else runs[0]


async def _start(
    request: Request, mode: str, waiting: Waiting, say: Callable[[str], None] | None = None
) -> Run:
    limits = purse().limits(request.options, [mode])
    options = {**request.options, **limits, "mode": mode, "reuse": request.reuse, "on_progress": say}
    try:
        run = await waiting.start(partial(api.start, request.prompt, **options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise UsageError("interrupted before the agent had begun; nothing goes on") from None
    purse().watch(run)
    return run


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
        if await kernel_ends(waiting):
            raise UsageError(_goes_on(run)) from None
        run.cancel()
        await wait_for_end(lambda: run.done, waiting)
        raise UsageError(_stopped(run, view)) from None
    view.end(results_of([run]))
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
        raise UsageError(_goes_on(run)) from None
    view.end(results_of([run]))
    return run.result()


def _goes_on(run: Run) -> str:
    return f"run {run.run_id} goes on; `%cc_stop {run.run_id}` ends it"


async def kernel_ends(waiting: Waiting) -> bool:
    """Return whether an interrupt began the end of the kernel, which is no wish for the end of its runs.

    Whoever restarts a kernel or shuts it down interrupts it first, and asks it to end right after (contract:
    `jupyter_client.KernelManager.shutdown_kernel`).
    """
    shell: Any = get_ipython()
    if not hasattr(shell, "kernel"):
        return False
    until = time.monotonic() + KERNEL_END_S
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        while not shell.exit_now and time.monotonic() < until:
            await waiting.pause(LOOK_S)
    return bool(shell.exit_now)


async def wait_for_end(over: Callable[[], bool], waiting: Waiting) -> None:
    """Wait for the end of what was asked to end, but not for ever; a second interrupt ends the waiting."""
    until = time.monotonic() + END_LIMIT_S
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        while not over() and time.monotonic() < until:
            await waiting.pause(LOOK_S)


def show_end(view: View, runs: Sequence[Run]) -> None:
    """Show the last state of runs."""
    view.look(*runs)
    view.end(results_of(runs))


async def _watch(run: Run, view: View, waiting: Waiting) -> None:
    while not run.done:
        view.look(run)
        await waiting.pause(LOOK_S)
    view.look(run)


def _stopped(run: Run, view: View) -> str:
    """Show the end of a run that was asked to end; return what is to be said of it."""
    show_end(view, [run])
    if not run.done:
        return f"interrupted: run {run.run_id} may still go on; `%cc_stop {run.run_id}` ends it"
    return (
        f"interrupted: run {run.run_id} was stopped and cleaned up; what it did is kept: "
        f"ccnb.attach({run.run_id!r}).result()"
    )


async def _ended(run: Run) -> None:
    try:
        await run
    except CcnbError:
        return
