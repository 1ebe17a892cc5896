"""Compare: begin many runs, or go on with them."""

from __future__ import annotations

import asyncio
from typing import Any

from ccnb import _loop
from ccnb.comparison.begin import begin
from ccnb.comparison.drive import Driver
from ccnb.comparison.matrix import Prompts
from ccnb.comparison.result import Comparison
from ccnb.errors import WithoutInnerFrames


@WithoutInnerFrames()
def compare(prompts: Prompts | None = None, **options: Any) -> Comparison:
    """Run every combination of some factors several times, in a fair order, and hold the results together.

    Every run works on a copy of the workspace of its own. Under a name it can be stopped, killed, and called
    again: what is finished stays, what still runs is attached to, the rest follows. Ctrl-C ends the runs that
    go on, waits for their clean-up, and raises `KeyboardInterrupt`.

    Parameters
    ----------
    prompts
        One prompt, several, or a mapping of names to prompts.
    modes
        A list, a comma list or `"all"`; without it the strongest that is ready.
    models
        A list. Without it, one model: the one that answers the first run is asked for by all others.
    variants
        A mapping of names to fields of `RunSpec`: `{"plain": {}, "terse": {"append_system_prompt": ...}}`.
    axes
        Fields of `RunSpec`, each with its levels: `{"max_turns": [5, 20]}`.
    repeats
        How many blocks there are: each has every arm once, in an order of its own.
    max_repeats
        Up to how many there may be: blocks are added while the 95 % interval of an arm's median wall time
        reaches further than `precision` from it, with that arm and those it is set against. Only the width
        decides that, never p.
    precision
        0.1, which is the default, for 10 % of the median.
    warmups
        Runs of each mode before all others, which don't count. By default one under a constant model (a
        script or a cassette), none where they cost money.
    name
        Under which it is kept; by default one of its own.
    reuse
        Go on with the comparison of the same matrix that was made so before, or give it if it is done: a
        notebook that is executed again costs nothing.
    seed
        Of the order; by default one drawn, and kept.
    concurrency
        Runs at once, or of each mode so many: `{"docker": 2, "fly": 8}`. By default one under a constant
        model, since runs at once slow each other down by many times; else one for each processor. That is
        also what a mode has that isn't named.
    executor
        Any `concurrent.futures.Executor` (a process pool, Dask's, ipyparallel's): its workers run the rows on
        their own engines and in their own stores, and the runs come home into this one; the workspaces stay
        there. By default as many at once as it has workers.
    total_usd, total_tokens, total_s
        What the whole may take: no run is begun beyond it. Give a higher one to go on.
    lock
        A `comparison.lock`: its matrix is run again, with its seed, its model, its images and its agents, or
        not at all. Only `name`, `concurrency`, `executor`, the limits of the whole, `yes`, `on_progress`
        and `on_run` can stand beside it.
    yes
        Do more than a thousand runs.
    on_progress
        Called with a line about each finished run, on ccnb's own thread.
    on_run
        Called with the live handle of each run that goes on here, on ccnb's own thread.
    **options
        The other fields of `RunSpec`, the same for all: `api`, `check`, `workspace`, `timeout_s`, ...

    Raises
    ------
    SpecError
        A value can't be used; nothing was started.
    ComparisonError
        Another comparison has that name.
    CcnbError
        An arm can't be run at all: found before the first run.
    """
    driver, lock = begin(prompts, options)
    with lock:
        _loop.wait(_loop.submit(driver.drive()), lambda: _loop.call(driver.cancel))
        return _outcome(driver)


async def acompare(prompts: Prompts | None = None, **options: Any) -> Comparison:
    """Compare; the coroutine twin of `compare`. Cancelling it ends its runs and waits for their end."""
    with WithoutInnerFrames():
        driver, lock = await asyncio.to_thread(begin, prompts, options)
        with lock:
            work = _loop.bridge(_loop.submit(driver.drive()))
            task = asyncio.ensure_future(work)
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                _loop.call(driver.cancel)
                await asyncio.wait([task], timeout=30)
                raise
            return await asyncio.to_thread(_outcome, driver)


def _outcome(driver: Driver) -> Comparison:
    """Return what came of it, having written its lock down beside it."""
    comparison = Comparison(driver.name, driver.store, stopped=driver.stopped, warnings=driver.warnings)
    comparison.write_lock()
    return comparison
