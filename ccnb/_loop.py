"""One event loop in a thread of its own, on which all work runs, whoever asks for it.

So `run` works where a loop already runs (a notebook), `start` needs no `await`, and a run goes on
while the caller computes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ccnb._interrupts import Flag

T = TypeVar("T")

_BLOCKING_CALLS = 64
"""Calls to engines that may block at once: about one for each run that starts or ends."""
_EXIT_WAIT_S = 20.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_behind: set[asyncio.Task[Any]] = set()
_ending = threading.Event()


def submit(work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the background loop."""
    return asyncio.run_coroutine_threadsafe(work, _background())


def call(function: Callable[[], object]) -> None:
    """Call a function on the background loop, soon."""
    _background().call_soon_threadsafe(function)


def wait(future: concurrent.futures.Future[T], on_interrupt: Callable[[], object]) -> T:
    """Wait for a result; on Ctrl-C ask for the end, wait for it, then raise the interrupt.

    A second Ctrl-C stops the waiting.
    """
    try:
        _wait_for_end(future)
    except KeyboardInterrupt:
        on_interrupt()
        finish(future)
        raise
    return future.result()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do work on the background loop and return its result; on Ctrl-C it is cancelled."""
    future = submit(work)
    return wait(future, future.cancel)


def finish(future: concurrent.futures.Future[Any]) -> None:
    """Wait for the end of something that was asked to end, but not for ever."""
    _wait_for_end(future, _EXIT_WAIT_S)


async def bridge(future: concurrent.futures.Future[T]) -> T:
    """Await a background future on the caller's own loop."""
    return await asyncio.wrap_future(future)


def leave_behind(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Go on with something on the loop that nobody need wait for, until the program ends."""
    task = asyncio.get_running_loop().create_task(work)
    _behind.add(task)
    task.add_done_callback(_behind.discard)
    return task


def is_ending() -> bool:
    """Return whether the program ends: no call that blocks can be begun any more."""
    return _ending.is_set()


def _wait_for_end(future: concurrent.futures.Future[Any], limit_s: float = math.inf) -> None:
    over = Flag()
    future.add_done_callback(lambda _: over.set())
    over.wait(limit_s)


def _background() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603 - the one loop of the process
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _loop.set_default_executor(
                concurrent.futures.ThreadPoolExecutor(_BLOCKING_CALLS, thread_name_prefix="ccnb-call")
            )
            threading.Thread(target=_loop.run_forever, name="ccnb-loop", daemon=True).start()
            # Threads of an executor are joined before atexit's functions run; this comes earlier still.
            threading._register_atexit(_drain)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return _loop


def _begin_anew() -> None:
    """Let a forked process have a loop of its own: of its parent's threads none came along."""
    global _lock, _loop
    # Another thread of the parent may have held the lock.
    _lock, _loop = threading.Lock(), None
    _behind.clear()


os.register_at_fork(after_in_child=_begin_anew)


def _drain() -> None:
    """Let removals that go on behind their results come to their end."""

    async def all_done() -> None:
        if _behind:
            await asyncio.wait(_behind, timeout=_EXIT_WAIT_S)

    if _loop is not None:
        finish(submit(all_done()))
    _ending.set()
