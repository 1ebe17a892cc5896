"""From what a caller asks for to a comparison that can be driven: all is seen to before the first run."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from ccnb import credentials
from ccnb.comparison import locks
from ccnb.comparison import matrix as matrices
from ccnb.comparison.drive import Driver, Limits, Say
from ccnb.comparison.locks import Lock
from ccnb.comparison.matrix import Axes, Matrix, Prompts, Variants
from ccnb.errors import ComparisonError, RunBusyError, SpecError
from ccnb.runner import model as models
from ccnb.runner.values import mode_names
from ccnb.store import FollowerLock, RunFolder, Store, comparisons

_WORKERS = 8
_PRECISION = 0.1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")
_BESIDE_LOCK = frozenset(
    {
        "lock",
        "name",
        "reuse",
        "concurrency",
        "executor",
        "total_usd",
        "total_tokens",
        "total_s",
        "yes",
        "on_progress",
    }
)
"""What can be asked for beside a lock: nothing that changes what is run."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a caller asks for; `compare` says what each means."""

    prompts: Prompts | None
    modes: str | Sequence[str] | None = None
    models: Sequence[str | None] | None = None
    variants: Variants | None = None
    axes: Axes | None = None
    repeats: int = 1
    max_repeats: int | None = None
    precision: float | None = None
    warmups: int | None = None
    name: str | None = None
    seed: int | None = None
    concurrency: int | None = None
    executor: Executor | None = None
    total_usd: float | None = None
    total_tokens: int | None = None
    total_s: float | None = None
    lock: Path | str | None = None
    reuse: bool = False
    yes: bool = False
    on_progress: Say | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `RunSpec`, the same for all arms."""

    @classmethod
    def of(cls, prompts: Prompts | None, given: Mapping[str, Any]) -> Self:
        """Make it from loose options: what is no option of the comparison's is one of its runs'.

        Raises
        ------
        SpecError
        """
        ours = {one.name for one in fields(cls)} - {"prompts", "options"}
        own = {name: value for name, value in given.items() if name in ours}
        options = {name: value for name, value in given.items() if name not in ours}
        if own.get("reuse") and own.get("name") is not None:
            raise SpecError("reuse finds the comparison by its matrix; leave name out, or reuse")
        if own.get("lock") is not None:
            beside = [name for name in given if name not in _BESIDE_LOCK]
            beside += [] if prompts is None else ["prompts"]
            if beside:
                raise SpecError(f"the lock says all that is run; leave {beside[0]} out, or the lock")
        elif prompts is None:
            raise SpecError("there is no prompt; say what the agent should do")
        return cls(prompts=prompts, options=options, **own)


def begin(prompts: Prompts | None, given: Mapping[str, Any]) -> tuple[Driver, FollowerLock]:
    """See that all of it can be run, and write it down, or find it written down.

    Raises
    ------
    CcnbError
        See `compare`.
    """
    request = Request.of(prompts, given)
    _check_counts(request)
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
    name = f"same-{matrix.fingerprint()}" if request.reuse else _check_name(request.name)
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
    )
    return driver, _hold(store, name)


def _asked(request: Request, store: Store) -> tuple[Matrix, list[str]]:
    """Return the matrix of all combinations, with nothing left open; and what should be known."""
    options = dict(request.options)
    modes = _modes(request.modes, options.pop("mode", None))
    model = options.pop("model", None)
    arms, levels = matrices.arms_of(
        request.prompts or (),
        modes=modes,
        models=[model] if request.models is None else request.models,
        variants=request.variants,
        axes=request.axes,
        options=options,
    )
    _check_size(len(arms), request.max_repeats or request.repeats, yes=request.yes)
    arms, warnings = matrices.settle(arms, store)
    constant = matrices.is_constant(arms)
    matrix = Matrix(
        arms=tuple(arms),
        axes=levels | {"mode": tuple(dict.fromkeys(arm.labels["mode"] for arm in arms))},
        repeats=request.repeats,
        warmups=int(constant) if request.warmups is None else request.warmups,
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
        concurrency=request.concurrency or _usual_concurrency(request.executor, constant=constant),
        max_repeats=request.max_repeats or 0,
        precision=_precision(request),
    )
    return matrix, warnings


def _locked(lock: Lock, request: Request, store: Store) -> tuple[Matrix, list[str]]:
    """Return the matrix of a lock, its model pinned; and what should be known."""
    matrix = lock.matrix
    _check_size(len(matrix.arms), matrix.max_repeats or matrix.repeats, yes=request.yes)
    arms, warnings = matrices.settle(locks.restored(lock), store)
    locks.check_answers(matrix.arms, arms)
    return replace(matrix, arms=tuple(arms), concurrency=request.concurrency or matrix.concurrency), warnings


def _precision(request: Request) -> float:
    if request.max_repeats is None:
        if request.precision is not None:
            raise SpecError("precision says when no more repeats are needed; give max_repeats with it")
        return 0.0
    precision = _PRECISION if request.precision is None else request.precision
    _check_precision(precision)
    return precision


def _check_size(arms: int, repeats: int, *, yes: bool) -> None:
    wanted = repeats * arms
    if wanted > matrices.MOST_RUNS and not yes:
        raise SpecError(f"this matrix has {wanted:,} runs; give yes=True to do so many, or fewer levels")


def _check_whole(matrix: Matrix, request: Request) -> None:
    if request.executor is not None and any(arm.spec.secrets for arm in matrix.arms):
        raise SpecError(
            "a secret never leaves this process, so workers can't have it; leave executor or it out"
        )


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


def _check_counts(request: Request) -> None:
    least = {"repeats": 1, "max_repeats": request.repeats, "warmups": 0, "concurrency": 1}
    for name, smallest in least.items():
        value = getattr(request, name)
        if value is None and name != "repeats":
            continue
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < smallest:
            raise SpecError(f"{name} must be a whole number, {smallest} or more, not {value!r}")


def _check_precision(precision: Any) -> None:
    number = isinstance(precision, int | float) and not isinstance(precision, bool)
    if not number or not 0 < precision < 1:
        raise SpecError(f"precision must be a number between 0 and 1, 0.1 for 10 %, not {precision!r}")


def _check_name(name: str | None) -> str:
    if name is None:
        from ccnb.runner.api import new_id

        return f"c{new_id()}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(f"name must be up to 48 letters, digits, - and _, not {name!r}")
    return name


def _warnings(matrix: Matrix) -> list[str]:
    said = []
    live = [arm.spec for arm in matrix.arms if models.needs_credential(arm.spec)]
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
