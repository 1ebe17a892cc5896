"""What a caller asks of a comparison, and whether its values can be meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ccnb.comparison.drive import Say
from ccnb.comparison.matrix import MOST_RUNS, Axes, Prompts, Variants
from ccnb.errors import SpecError, did_you_mean
from ccnb.runner.api import new_id
from ccnb.runner.handles import Run
from ccnb.runner.values import mode_names

_PRECISION = 0.1
_SEEDS = 2**63
"""A frame's column of whole numbers has 64 bits."""
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
        "on_run",
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
    concurrency: int | Mapping[str, int] | None = None
    executor: Executor | None = None
    total_usd: float | None = None
    total_tokens: int | None = None
    total_s: float | None = None
    lock: Path | str | None = None
    reuse: bool = False
    yes: bool = False
    on_progress: Say | None = None
    on_run: Callable[[Run], object] | None = None
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


def precision_of(request: Request) -> float:
    """Return how far an interval may reach; 0 where no repeats are added.

    Raises
    ------
    SpecError
    """
    if request.max_repeats is None:
        if request.precision is not None:
            raise SpecError("precision says when no more repeats are needed; give max_repeats with it")
        return 0.0
    precision = _PRECISION if request.precision is None else request.precision
    _check_precision(precision)
    return precision


def check_size(arms: int, repeats: int, *, yes: bool) -> None:
    """See that nobody begins a thousand runs unawares.

    Raises
    ------
    SpecError
    """
    wanted = repeats * arms
    if wanted > MOST_RUNS and not yes:
        raise SpecError(f"this matrix has {wanted:,} runs; give yes=True to do so many, or fewer levels")


def modes_of(modes: str | Sequence[str] | None, mode: str | None) -> list[str]:
    """Return the names of the modes that are asked for, by one option or the other.

    Raises
    ------
    SpecError
    """
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


def check_counts(request: Request) -> None:
    """See that what is counted is a whole number.

    Raises
    ------
    SpecError
    """
    counts = [
        ("max_repeats", request.max_repeats, request.repeats),
        ("warmups", request.warmups, 0),
        ("seed", request.seed, 0),
    ]
    if isinstance(request.concurrency, Mapping):
        counts += [(f"concurrency of {mode}", number, 1) for mode, number in request.concurrency.items()]
    else:
        counts += [("concurrency", request.concurrency, 1)]
    _check_count("repeats", request.repeats, 1)
    for name, number, smallest in counts:
        if number is not None:
            _check_count(name, number, smallest)
    if request.seed is not None and request.seed >= _SEEDS:
        raise SpecError(f"seed must be below 2**63, not {request.seed}; it is a column of the frame")


def at_once(asked: int | Mapping[str, int] | None, modes: Sequence[str], usual: int) -> dict[str, Any]:
    """Return how many runs may go on at once: the matrix's `concurrency`, and its `limits` of each mode.

    Raises
    ------
    SpecError
        A mode has a limit that isn't compared.
    """
    if not isinstance(asked, Mapping):
        return {"concurrency": asked or usual, "limits": {}}
    for mode in asked:
        if mode not in modes:
            near = did_you_mean(mode, modes) or f"; there are {', '.join(modes)}"
            raise SpecError(f"concurrency has {mode!r}, which is no mode of this comparison{near}")
    limits = {mode: asked.get(mode) or usual for mode in modes}
    return {"concurrency": sum(limits.values()), "limits": limits}


def _check_count(name: str, value: Any, smallest: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < smallest:
        raise SpecError(f"{name} must be a whole number, {smallest} or more, not {value!r}")


def _check_precision(precision: Any) -> None:
    number = isinstance(precision, int | float) and not isinstance(precision, bool)
    if not number or not 0 < precision < 1:
        raise SpecError(f"precision must be a number between 0 and 1, 0.1 for 10 %, not {precision!r}")


def name_of(name: str | None) -> str:
    """Return the name of a comparison: the one that was given, else one of its own.

    Raises
    ------
    SpecError
    """
    if name is None:
        return f"c{new_id()}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(f"name must be up to 48 letters, digits, - and _, not {name!r}")
    return name
