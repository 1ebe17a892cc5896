"""What is compared: arms, the combinations of some factors, and the order in which their runs begin."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from ccnb.errors import SpecError, did_you_mean
from ccnb.render import one_line
from ccnb.runner import model as models
from ccnb.runner.api import settled
from ccnb.spec import RunSpec
from ccnb.store import Store

MOST_RUNS = 1_000
"""Of a matrix, unless its maker says that so many are meant."""
_LABEL = 40
_NO_PART = ("seed", "concurrency", "limits", "further")
"""Of a matrix's fingerprint."""
_FIELDS = tuple(field.name for field in fields(RunSpec))

Prompts = str | Sequence[str] | Mapping[str, str]
Axes = Mapping[str, Sequence[Any]]
Variants = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Arm:
    """One combination of the factors."""

    labels: Mapping[str, str]
    """The arm's level on each axis."""
    spec: RunSpec
    digest: str | None = None
    """Of the file that answers the agent, where one does."""


@dataclass(frozen=True)
class Row:
    """One run that is wanted."""

    number: int
    """In the order in which rows begin."""
    block: int
    """Each has every arm once, a further one those that need more; block 0 are the warm-up runs."""
    arm: int

    @property
    def warmup(self) -> bool:
        """Return whether the run is there only to warm the machine up."""
        return self.block == 0


@dataclass(frozen=True)
class Matrix:
    """Arms, how often each is run, and the seed of the order."""

    arms: tuple[Arm, ...]
    axes: Mapping[str, tuple[str, ...]]
    """The levels of each axis, in the order in which they were given."""
    repeats: int
    warmups: int
    """Runs of each mode that go before all others, and don't count."""
    seed: int
    concurrency: int
    """Runs at once."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Of each mode, where that was asked for: together they are `concurrency`."""
    max_repeats: int = 0
    """Up to how many repeats may be added where an interval is wide; 0 where none are."""
    precision: float = 0.0
    """How far an arm's interval may reach from its median, 0.1 for 10 %, before it counts as wide."""
    further: tuple[tuple[int, ...], ...] = ()
    """The arms of each block that was added."""

    def rows(self) -> list[Row]:
        """Return all rows in their order: blocks one after the other, the arms shuffled in each."""
        rng = random.Random(self.seed)  # noqa: S311 - an order, not a secret
        order = [(0, arm) for _ in range(self.warmups) for arm in self._one_of_each_mode()]
        blocks = [range(len(self.arms))] * self.repeats + list(self.further)
        for block, of_block in enumerate(blocks, 1):
            arms = list(of_block)
            rng.shuffle(arms)
            order += [(block, arm) for arm in arms]
        return [Row(number, block, arm) for number, (block, arm) in enumerate(order)]

    def with_partners(self, wide: Iterable[int]) -> tuple[int, ...]:
        """Return some arms and all that they are set against: those that differ from one in one axis."""
        chosen = set(wide)
        near = {
            other
            for other, arm in enumerate(self.arms)
            for one in chosen
            if sum(arm.labels[axis] != self.arms[one].labels[axis] for axis in self.axes) == 1
        }
        return tuple(sorted(chosen | near))

    def labels(self) -> list[str]:
        """Return a name for each arm: what tells it from the others."""
        varying = self.varying() or ["mode"]
        return [" · ".join(arm.labels[axis] for axis in varying) for arm in self.arms]

    def varying(self) -> list[str]:
        """Return the axes that have more than one level."""
        return [axis for axis, levels in self.axes.items() if len(levels) > 1]

    def pace(self) -> str:
        """Return in words how many runs go on at once."""
        if self.concurrency == 1:
            return "one at a time"
        by_mode = ", ".join(f"{at_once} in {mode}" for mode, at_once in self.limits.items())
        return f"{self.concurrency} at once{f' ({by_mode})' if by_mode else ''}"

    def fingerprint(self) -> str:
        """Return a digest that is the same for matrices that ask for the same runs.

        Their order, how many go on at once, and what came of them are no part of that.
        """
        kept = {k: v for k, v in self.to_dict().items() if k not in _NO_PART}
        kept["arms"] = [[dict(arm.labels), arm.spec.fingerprint(), arm.digest] for arm in self.arms]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value; a secret stands in it by name only."""
        return {
            "arms": [
                {"labels": dict(arm.labels), "spec": arm.spec.to_dict(), "digest": arm.digest}
                for arm in self.arms
            ],
            "axes": {axis: list(levels) for axis, levels in self.axes.items()},
            "repeats": self.repeats,
            "warmups": self.warmups,
            "seed": self.seed,
            "concurrency": self.concurrency,
            "limits": dict(self.limits),
            "max_repeats": self.max_repeats,
            "precision": self.precision,
            "further": [list(arms) for arms in self.further],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from what `to_dict` gave."""
        arms = tuple(Arm(a["labels"], RunSpec.from_dict(a["spec"]), a["digest"]) for a in data["arms"])
        axes = {axis: tuple(levels) for axis, levels in data["axes"].items()}
        numbers = {name: int(data[name]) for name in ("repeats", "warmups", "seed", "concurrency")}
        return cls(
            arms=arms,
            axes=axes,
            **numbers,
            # What was written before there were these has none of them.
            limits=dict(data.get("limits", {})),
            max_repeats=int(data.get("max_repeats", 0)),
            precision=float(data.get("precision", 0.0)),
            further=tuple(tuple(block) for block in data.get("further", ())),
        )

    def _one_of_each_mode(self) -> list[int]:
        places = [(arm.spec.mode, arm.spec.image) for arm in self.arms]
        return [places.index(place) for place in dict.fromkeys(places)]


def arms_of(
    prompts: Prompts,
    *,
    modes: Sequence[str],
    models: Sequence[str | None],
    variants: Variants | None,
    axes: Axes | None,
    options: Mapping[str, Any],
) -> tuple[list[Arm], dict[str, tuple[str, ...]]]:
    """Return every combination of the factors, and the levels of each axis.

    Raises
    ------
    SpecError
        An axis is no field of `RunSpec`, has no level, or has one twice; a value can't be used.
    """
    factors: dict[str, dict[str, dict[str, Any]]] = {
        "prompt": {name: {"prompt": text} for name, text in _named(prompts).items()},
        "mode": _levels("modes", "mode", modes),
        "model": _levels("models", "model", models),
    }
    if variants is not None:
        factors["variant"] = {str(name): dict(values) for name, values in variants.items()}
    for axis, values in (axes or {}).items():
        _check_axis(axis, factors, options)
        factors[axis] = _levels(f"axis {axis!r}", axis, values)
    for axis, levels in factors.items():
        if not levels:
            raise SpecError(f"the matrix is empty: {axis} has no level; give one or more")
    arms = [_arm(factors, combination, options) for combination in itertools.product(*factors.values())]
    return arms, {axis: tuple(levels) for axis, levels in factors.items()}


def settle(arms: Iterable[Arm], store: Store) -> tuple[list[Arm], list[str]]:
    """Return the arms with nothing left open, each run on a copy of its workspace; and what should be known.

    Raises
    ------
    CcnbError
        An arm can't be run: found before anything is.
    """
    done, warnings = [], []
    for arm in arms:
        spec = arm.spec
        if spec.workspace is not None and spec.continues is None:
            spec = replace(spec, copy=True)
        if spec.api_source == "record":
            raise SpecError(
                "many runs can't record to one file; record one with ccnb.run, then compare with replay"
            )
        _check_command("check", spec.check)
        _check_command("setup", spec.setup)
        spec, said = settled(spec, store)
        warnings += said
        labels = dict(arm.labels)
        if labels["mode"] == "auto":
            labels["mode"] = spec.mode
        done.append(Arm(labels, spec, models.source_digest(spec)))
    return done, list(dict.fromkeys(warnings))


def is_constant(arms: Iterable[Arm]) -> bool:
    """Return whether no arm's model is a real one: time can then be compared."""
    return not any(models.needs_credential(arm.spec) for arm in arms)


def _arm(factors: Mapping[str, Any], combination: Sequence[str], options: Mapping[str, Any]) -> Arm:
    labels = dict(zip(factors, combination, strict=True))
    values: dict[str, Any] = dict(options)
    for axis, level in labels.items():
        values |= factors[axis][level]
    return Arm(labels, RunSpec.make(values.pop("prompt"), values))


def _named(prompts: Prompts) -> dict[str, str]:
    """Return prompts by a name for each: their own first words, unless they were given names."""
    if isinstance(prompts, Mapping):
        return {str(name): text for name, text in prompts.items()}
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    for text in texts:
        if not isinstance(text, str):
            raise SpecError(
                f"a prompt must be a text, not {text!r}; give texts, or a mapping of names to texts"
            )
    names = [one_line(text, _LABEL) for text in texts]
    if len(set(texts)) < len(texts):
        raise SpecError("a prompt is there twice; use repeats to run it more often")
    if len(set(names)) < len(names):
        names = [f"{number}: {name}" for number, name in enumerate(names, 1)]
    return dict(zip(names, texts, strict=True))


def _levels(what: str, field: str, values: Any) -> dict[str, dict[str, Any]]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SpecError(f"{what} must be a list, not {values!r}")
    given = list(values)
    labels = ["default" if value is None else one_line(str(value), _LABEL) for value in given]
    for label in labels:
        if labels.count(label) > 1:
            raise SpecError(f"{what} has {label!r} twice; use repeats to run it more often")
    return {label: {field: value} for label, value in zip(labels, given, strict=True)}


def _check_axis(axis: str, taken: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    if axis not in _FIELDS:
        near = did_you_mean(axis, _FIELDS) or "; help(ccnb.RunSpec) lists them"
        raise SpecError(f"axis {axis!r} is no field of RunSpec{near}")
    if axis in taken:
        raise SpecError(f"axis {axis!r} has an option of its own; give {axis}s")
    if axis in options:
        raise SpecError(f"{axis} is an axis and an option as well; leave one of the two out")


def _check_command(name: str, command: str | None) -> None:
    if command is None:
        return
    done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = one_line(done.stderr, 120)
        raise SpecError(f"{name} can't be run: the shell refuses {one_line(command, 60)!r} ({said}); mend it")
