"""Compare: begin many runs, or go on with them."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from ccnb import _loop, credentials
from ccnb.comparison import matrix as matrices
from ccnb.comparison.drive import Driver, Limits, Say
from ccnb.comparison.matrix import Arm, Axes, Matrix, Prompts, Variants
from ccnb.comparison.result import Comparison
from ccnb.errors import ComparisonError, RunBusyError, SpecError, WithoutInnerFrames
from ccnb.runner import model as models
from ccnb.runner.handles import Run
from ccnb.runner.values import mode_names
from ccnb.store import FollowerLock, RunFolder, Store, comparisons

_WORKERS = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")


@WithoutInnerFrames()
def compare(prompts: Prompts, **options: Any) -> Comparison:
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
    warmups
        Runs of each mode before all others, which don't count. By default one under a constant model (a
        script or a cassette), none where they cost money.
    name
        Under which it is kept; by default one of its own.
    seed
        Of the order; by default one drawn, and kept.
    concurrency
        Runs at once. By default one under a constant model, since runs at once slow each other down by many
        times; else one for each processor.
    executor
        Any `concurrent.futures.Executor` (a process pool, Dask's, ipyparallel's): its workers run the rows on
        their own engines and in their own stores, and the runs come home into this one; the workspaces stay
        there. By default as many at once as it has workers.
    total_usd, total_tokens, total_s
        What the whole may take: no run is begun beyond it. Give a higher one to go on.
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
    driver, lock = _begin(prompts, **options)
    with lock:
        _loop.wait(_loop.submit(driver.drive()), lambda: _loop.call(driver.cancel))
    return Comparison(driver.name, driver.store, stopped=driver.stopped, warnings=driver.warnings)


async def acompare(prompts: Prompts, **options: Any) -> Comparison:
    """Compare; the coroutine twin of `compare`. Cancelling it ends its runs and waits for their end."""
    with WithoutInnerFrames():
        driver, lock = await asyncio.to_thread(_begin, prompts, **options)
        with lock:
            work = _loop.bridge(_loop.submit(driver.drive()))
            task = asyncio.ensure_future(work)
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                _loop.call(driver.cancel)
                await asyncio.wait([task], timeout=30)
                raise
    return Comparison(driver.name, driver.store, stopped=driver.stopped, warnings=driver.warnings)


def _begin(
    prompts: Prompts,
    *,
    modes: str | Sequence[str] | None = None,
    models: Sequence[str | None] | None = None,
    variants: Variants | None = None,
    axes: Axes | None = None,
    repeats: int = 1,
    warmups: int | None = None,
    name: str | None = None,
    seed: int | None = None,
    concurrency: int | None = None,
    executor: Executor | None = None,
    total_usd: float | None = None,
    total_tokens: int | None = None,
    total_s: float | None = None,
    yes: bool = False,
    on_progress: Say | None = None,
    on_run: Callable[[Run], object] | None = None,
    **options: Any,
) -> tuple[Driver, FollowerLock]:
    """See that all of it can be run, and write it down, or find it written down."""
    store = Store()
    say = on_progress or _unheard
    arms, levels = matrices.arms_of(
        prompts,
        modes=_modes(modes, options.pop("mode", None)),
        models=[options.pop("model", None)] if models is None else models,
        variants=variants,
        axes=axes,
        options=options,
    )
    _check_counts(repeats, warmups, concurrency)
    if executor is not None and any(arm.spec.secrets for arm in arms):
        raise SpecError(
            "a secret never leaves this process, so workers can't have it; leave executor or it out"
        )
    wanted = repeats * len(arms)
    if wanted > matrices.MOST_RUNS and not yes:
        raise SpecError(f"this matrix has {wanted:,} runs; give yes=True to do so many, or fewer levels")
    arms, warnings = matrices.settle(arms, store)
    constant = matrices.is_constant(arms)
    matrix = Matrix(
        arms=tuple(arms),
        axes=levels | {"mode": tuple(dict.fromkeys(arm.labels["mode"] for arm in arms))},
        repeats=repeats,
        warmups=int(constant) if warmups is None else warmups,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        concurrency=concurrency or _usual_concurrency(executor, constant=constant),
    )
    warnings += _warnings(arms, matrix)
    for warning in warnings:
        say(warning)
    name = _check_name(name)
    kept = _kept(store, name, matrix, seed)
    driver = Driver(
        name=name,
        matrix=kept,
        arms=tuple(arms),
        store=store,
        limits=Limits(total_usd, total_tokens, total_s),
        say=say,
        warnings=warnings,
        executor=executor,
        on_run=on_run,
    )
    return driver, _lock(store, name)


def _usual_concurrency(executor: Executor | None, *, constant: bool) -> int:
    if executor is not None:
        # Dask's and ipyparallel's don't say how many they have.
        return getattr(executor, "_max_workers", None) or _WORKERS
    return 1 if constant else os.cpu_count() or 1


def _kept(store: Store, name: str, matrix: Matrix, seed: int | None) -> Matrix:
    """Return the matrix of that name, which this call asks for too; its order is the one kept.

    Raises
    ------
    ComparisonError
        It is another one.
    """
    kept = Matrix.from_dict(comparisons.add(store, name, matrix.to_dict()))
    if kept.fingerprint() != matrix.fingerprint():
        raise ComparisonError(
            f"the comparison {name!r} has another matrix ({_what_differs(kept, matrix)}); "
            "give this one another name"
        )
    if seed is not None and seed != kept.seed:
        raise ComparisonError(f"the comparison {name!r} has the seed {kept.seed}, not {seed}; leave seed out")
    return replace(kept, concurrency=matrix.concurrency)


def _what_differs(kept: Matrix, asked: Matrix) -> str:
    if kept.repeats != asked.repeats:
        return f"{kept.repeats} repeats, not {asked.repeats}"
    for axis in {**kept.axes, **asked.axes}:
        ours, theirs = kept.axes.get(axis, ()), asked.axes.get(axis, ())
        if ours != theirs:
            return f"{axis}: {', '.join(ours) or 'none'}, not {', '.join(theirs) or 'none'}"
    if kept.warmups != asked.warmups:
        return f"{kept.warmups} warm-up runs, not {asked.warmups}"
    for one, other in zip(kept.arms, asked.arms, strict=True):
        before, after = one.spec.to_dict(), other.spec.to_dict()
        for name, value in after.items():
            if before.get(name) != value:
                return f"{name}: {before.get(name)!r}, not {value!r}"
    return "what answers the agent has changed since"


def _modes(modes: str | Sequence[str] | None, mode: str | None) -> list[str]:
    if modes is not None and mode is not None:
        raise SpecError("mode and modes say the same; leave one of the two out")
    given = modes if modes is not None else mode or "auto"
    if not isinstance(given, str):
        given = list(given)
        if not all(isinstance(one, str) for one in given):
            raise SpecError(f"modes must be a list of names, not {given!r}")
        if not given:
            raise SpecError("the matrix is empty: mode has no level; give one or more")
        given = ",".join(given)
    return mode_names(given)


def _check_counts(repeats: Any, warmups: Any, concurrency: Any) -> None:
    for name, value, least in (
        ("repeats", repeats, 1),
        ("warmups", warmups, 0),
        ("concurrency", concurrency, 1),
    ):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if name != "repeats" and value is None:
            continue
        if not whole or value < least:
            raise SpecError(f"{name} must be a whole number, {least} or more, not {value!r}")


def _check_name(name: str | None) -> str:
    if name is None:
        from ccnb.runner.api import new_id

        return f"c{new_id()}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(f"name must be up to 48 letters, digits, - and _, not {name!r}")
    return name


def _warnings(arms: Sequence[Arm], matrix: Matrix) -> list[str]:
    said = []
    live = [arm.spec for arm in arms if models.needs_credential(arm.spec)]
    if live:
        longest = max(spec.timeout_s for spec in live)
        said += credentials.preflight(
            timeout_s=longest, runs=matrix.repeats * len(live), concurrency=matrix.concurrency
        )
    elif matrix.concurrency > 1:
        said.append(
            f"{matrix.concurrency} runs at once slow each other down: their times can't be compared with "
            "those of runs one at a time"
        )
    return said


def _lock(store: Store, name: str) -> FollowerLock:
    """Return the lock of a comparison, which one process at a time drives.

    Raises
    ------
    RunBusyError
    """
    folder = RunFolder(store.home / "comparisons" / name)
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FollowerLock(folder)
    if lock.held_elsewhere:
        raise RunBusyError(f"another process does the comparison {name!r} now; wait for its end, or end it")
    return lock


def _unheard(line: str) -> None:
    """Take a line that nobody asked for."""
