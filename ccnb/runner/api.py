"""Start runs, attach to them, find them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ccnb import _loop
from ccnb import mode as modes
from ccnb._interrupts import uninterrupted
from ccnb.errors import (
    CcnbError,
    RunBusyError,
    SpecError,
    WithoutInnerFrames,
)
from ccnb.redact import Secret
from ccnb.runner import model as models
from ccnb.runner import workspace as workspaces
from ccnb.runner.choice import check_choice
from ccnb.runner.conversation import continued
from ccnb.runner.execution import Execution
from ccnb.runner.follow import OnEvent
from ccnb.runner.handles import Run, RunResult
from ccnb.runner.lists import RunList
from ccnb.runner.ready import strongest
from ccnb.runner.reuse import earlier
from ccnb.runner.sweep import remove_left
from ccnb.spec import RunSpec
from ccnb.store import FollowerLock, Progress, RunRow, Store

Say = Callable[[str], None]

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_LOOK_S = 0.1


@WithoutInnerFrames()
def run(
    prompt: str,
    *,
    on_event: OnEvent | None = None,
    on_progress: Say | None = None,
    reuse: bool = False,
    **options: Any,
) -> RunResult:
    """Run one task and wait for its result.

    Ctrl-C cancels the run, waits for the clean-up, and raises `KeyboardInterrupt`.

    Parameters
    ----------
    prompt
        What the agent is asked to do.
    on_event
        Called with each event as it comes, on ccnb's own thread.
    on_progress
        Called with a line about what takes its time before the agent starts (an image being built), and
        with what should be known of the run beforehand (a token that may expire during it).
    reuse
        Give a finished, successful run of the same spec on the same files, if there is one. A script, an
        image and this machine's `claude` are the same by what they hold; a secret is by its name.
    **options
        The fields of `RunSpec`: `mode`, `model`, `workspace`, `api`, `check`, `timeout_s`, ...

    Raises
    ------
    SpecError
        A value can't be used; nothing was started.
    CcnbError
        The infrastructure failed. An agent that fails raises nothing: see `RunResult.outcome`.
    """
    handle = start(prompt, on_event=on_event, on_progress=on_progress, reuse=reuse, **options)
    return handle.result()


async def arun(
    prompt: str,
    *,
    on_event: OnEvent | None = None,
    on_progress: Say | None = None,
    reuse: bool = False,
    **options: Any,
) -> RunResult:
    """Run one task; the coroutine twin of `run`. Cancelling it cancels the run and waits for its end."""
    making = asyncio.to_thread(
        start, prompt, on_event=on_event, on_progress=on_progress, reuse=reuse, **options
    )
    with WithoutInnerFrames():
        handle = await making
    try:
        return await handle
    except asyncio.CancelledError:
        handle.cancel()
        await asyncio.wait([asyncio.ensure_future(_ended(handle))], timeout=30)
        raise


@WithoutInnerFrames()
def start(
    prompt: str,
    *,
    on_event: OnEvent | None = None,
    on_progress: Say | None = None,
    reuse: bool = False,
    **options: Any,
) -> Run:
    """Start a task and return its live handle at once. See `run` for the parameters.

    Raises
    ------
    SpecError
    CredentialError
    ModeUnavailableError
    """
    store = Store()
    spec, warnings = settled(RunSpec.make(prompt, options), store)
    begun_at = time.time()
    if reuse and (row := earlier(spec, store, on_progress or _unheard)) is not None:
        return _finished(row, store)
    for warning in warnings:
        (on_progress or _unheard)(warning)
    progress = Progress(marks={"begin": begun_at}, warnings=warnings)
    return begin(new_id(), spec, store, progress, on_event=on_event, on_progress=on_progress)


def settled(spec: RunSpec, store: Store) -> tuple[RunSpec, list[str]]:
    """Return a spec in which nothing is left open, and what should be known of it before it is run.

    Raises
    ------
    SpecError
    CredentialError
    ModeUnavailableError
    """
    spec = continued(spec, store)
    workspaces.check(spec.workspace, copy=spec.copy)
    if spec.mode == "auto":
        spec = replace(spec, mode=strongest())
    if spec.push_to is not None and not modes.pushes(spec.mode):
        raise SpecError(
            f"push_to is for places far away; in mode {spec.mode} the results come to this machine by "
            "themselves, so leave it out"
        )
    spec = models.settle(spec)
    warnings = models.check(spec)
    return spec, warnings


def begin(
    run_id: str,
    spec: RunSpec,
    store: Store,
    progress: Progress,
    *,
    on_event: OnEvent | None = None,
    on_progress: Say | None = None,
) -> Run:
    """Begin a run of a settled spec, under an id that nobody else has."""
    handle = Run(run_id, store)
    try:
        with uninterrupted():
            _write_down(handle.run_id, spec, store, progress)
            _follow(handle, store, on_event, on_progress)
    except KeyboardInterrupt:
        if handle._future is None:
            # The signal had come just before it was held back: nothing has begun.
            store.remove(handle.run_id)
        else:
            handle.cancel()
            _loop.finish(handle._future)
        raise
    return handle


@WithoutInnerFrames()
def attach(run_id: str, *, on_event: OnEvent | None = None, on_progress: Say | None = None) -> Run:
    """Return the live handle of a run that this or another process started.

    If nobody follows the run any more, this process does from now on: it collects and cleans up. If
    another living process does, this one watches.

    Raises
    ------
    RunNotFoundError
    """
    store = Store()
    row = store.run(run_id)
    if row.record is not None:
        return _finished(row, store)
    handle = Run(row.run_id, store)
    _follow(handle, store, on_event, on_progress)
    return handle


def runs(**where: Any) -> RunList:
    """Return the runs in the store, the latest first.

    Parameters
    ----------
    **where
        `state`, `mode`, `outcome`, `fingerprint`, `before` (unix seconds), `limit`.

    Raises
    ------
    SpecError
    """
    check_choice(where)
    return RunList(Store().runs(**where))


def new_id() -> str:
    """Return an id that sorts by time and can be read aloud."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(5))
    return datetime.now(UTC).strftime("%y%m%d-%H%M%S-") + tail


def result_of(row: RunRow) -> RunResult:
    """Return the result of a finished run in the store."""
    if row.record is None:
        raise CcnbError(f"run {row.run_id} is not finished; attach to it with `ccnb attach {row.run_id}`")
    return RunResult.of(row.record, row.folder.path.parent.parent)


def _unheard(line: str) -> None:
    """Take a line that nobody asked for."""


def _write_down(run_id: str, spec: RunSpec, store: Store, progress: Progress) -> None:
    folder = store.folder(run_id)
    folder.make(movable=spec.sandbox is not None)
    secret = {name: v.reveal() for name, v in spec.env.items() if isinstance(v, Secret)}
    folder.write_private("secrets", secret)
    store.add_run(run_id, spec, progress)


def _follow(handle: Run, store: Store, on_event: OnEvent | None, say: Say | None) -> None:
    handle._future = _loop.submit(_drive(handle, store, on_event, say or _unheard))
    # Who iterates over the run looks once more when it is over, not before.
    handle._future.add_done_callback(lambda _: handle._notify())


async def _drive(handle: Run, store: Store, on_event: OnEvent | None, say: Say) -> RunResult:
    """Own the run, or watch whoever does until it is over or the owner has died."""
    lock = FollowerLock(store.folder(handle.run_id))
    seen = -1
    while True:
        try:
            lock.acquire()
            break
        except RunBusyError:
            for event in store.events(handle.run_id, after=seen):
                seen = event.offset
                if on_event is not None:
                    on_event(event)
            row = store.run(handle.run_id)
            handle._set(state=row.state)
            if handle._is_watched or on_event is not None:
                row.folder.note_watcher()
            if handle._cancel_wanted.is_set():
                row.folder.want_cancel()
            if row.record is not None:
                return result_of(row)
            await asyncio.sleep(_LOOK_S)
    try:
        row = store.run(handle.run_id)
        if row.record is not None:
            return result_of(row)
        return await Execution(handle, store, on_event, say).drive()
    finally:
        lock.release()
        handle._notify()


def _finished(row: RunRow, store: Store) -> Run:
    async def give() -> RunResult:
        # Whoever finished it may have died before its place was removed.
        _loop.leave_behind(remove_left(store, row))
        return result_of(row)

    handle = Run(row.run_id, store)
    handle._set(state="done")
    handle._future = _loop.submit(give())
    return handle


async def _ended(handle: Run) -> None:
    try:
        await handle
    except CcnbError:
        return
