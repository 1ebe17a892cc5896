"""From what a caller asks for to a comparison that can be driven: all is seen to before the first run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ccnb import credentials
from ccnb.comparison import locks
from ccnb.comparison import matrix as matrices
from ccnb.comparison.drive import Driver, Limits
from ccnb.comparison.locks import Lock
from ccnb.comparison.matrix import Arm, Matrix, Prompts
from ccnb.comparison.request import (
    Request,
    at_once,
    check_counts,
    check_size,
    modes_of,
    name_of,
    precision_of,
)
from ccnb.errors import ComparisonError, RunBusyError, SpecError
from ccnb.runner import model as models
from ccnb.store import FollowerLock, RunFolder, Store, comparisons

_WORKERS = 8


def begin(prompts: Prompts | None, given: Mapping[str, Any]) -> tuple[Driver, FollowerLock]:
    """See that all of it can be run, and write it down, or find it written down.

    Raises
    ------
    CcnbError
        See `compare`.
    """
    request = Request.of(prompts, given)
    check_counts(request)
    store = Store()
    say = request.on_progress or _unheard
    lock = None if request.lock is None else locks.read(Path(request.lock))
    matrix, warnings = _asked(request, store) if lock is None else _locked(lock, request, store)
    _check_whole(matrix, request)
    if lock is not None and request.executor is None:
        locks.check_places(lock, matrix.arms, say)
    warnings += _warnings(matrix)
    for warning in warnings:
        say(warning)
    name = f"same-{matrix.fingerprint()}" if request.reuse else name_of(request.name)
    driver = Driver(
        name=name,
        matrix=_kept(store, name, matrix, request.seed if lock is None else matrix.seed),
        arms=matrix.arms,
        store=store,
        limits=Limits(request.total_usd, request.total_tokens, request.total_s),
        say=say,
        warnings=warnings,
        executor=request.executor,
        lock=lock,
        on_run=request.on_run,
    )
    return driver, _hold(store, name)


def _asked(request: Request, store: Store) -> tuple[Matrix, list[str]]:
    """Return the matrix of all combinations, with nothing left open; and what should be known."""
    options = dict(request.options)
    modes = modes_of(request.modes, options.pop("mode", None))
    model = options.pop("model", None)
    arms, levels = matrices.arms_of(
        request.prompts or (),
        modes=modes,
        models=[model] if request.models is None else request.models,
        variants=request.variants,
        axes=request.axes,
        options=options,
    )
    check_size(len(arms), request.max_repeats or request.repeats, yes=request.yes)
    arms, warnings = matrices.settle(arms, store)
    constant = matrices.is_constant(arms)
    matrix = Matrix(
        arms=tuple(arms),
        axes=levels | {"mode": tuple(dict.fromkeys(arm.labels["mode"] for arm in arms))},
        repeats=request.repeats,
        warmups=int(constant) if request.warmups is None else request.warmups,
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
        **_at_once(request, arms),
        max_repeats=request.max_repeats or 0,
        precision=precision_of(request),
    )
    return matrix, warnings


def _locked(lock: Lock, request: Request, store: Store) -> tuple[Matrix, list[str]]:
    """Return the matrix of a lock, its model pinned; and what should be known."""
    matrix = lock.matrix
    check_size(len(matrix.arms), matrix.max_repeats or matrix.repeats, yes=request.yes)
    arms, warnings = matrices.settle(locks.restored(lock), store)
    locks.check_answers(matrix.arms, arms)
    asked = {} if request.concurrency is None else _at_once(request, arms)
    return replace(matrix, arms=tuple(arms), **asked), warnings


def _check_whole(matrix: Matrix, request: Request) -> None:
    if request.executor is not None and any(arm.spec.secrets for arm in matrix.arms):
        raise SpecError(
            "a secret never leaves this process, so workers can't have it; leave executor or it out"
        )


def _at_once(request: Request, arms: Sequence[Arm]) -> dict[str, Any]:
    modes = list(dict.fromkeys(arm.spec.mode for arm in arms))
    usual = _usual_concurrency(request.executor, constant=matrices.is_constant(arms))
    return at_once(request.concurrency, modes, usual)


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
    return replace(kept, concurrency=matrix.concurrency, limits=matrix.limits)


def _what_differs(kept: Matrix, asked: Matrix) -> str:
    for number, what in (
        ("repeats", "repeats"),
        ("max_repeats", "repeats at most"),
        ("precision", "precision"),
    ):
        ours, theirs = getattr(kept, number), getattr(asked, number)
        if ours != theirs:
            return f"{ours} {what}, not {theirs}"
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


def _warnings(matrix: Matrix) -> list[str]:
    said = []
    live = [arm.spec for arm in matrix.arms if models.needs_credential(arm.spec)]
    if live:
        longest = max(spec.timeout_s for spec in live)
        said += credentials.preflight(
            timeout_s=longest,
            runs=(matrix.max_repeats or matrix.repeats) * len(live),
            concurrency=matrix.concurrency,
        )
    elif matrix.concurrency > 1:
        said.append(
            f"{matrix.concurrency} runs at once slow each other down: their times can't be compared with "
            "those of runs one at a time"
        )
    return said


def _hold(store: Store, name: str) -> FollowerLock:
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
