"""Two levels of an axis against each other: the numbers, and what they say in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ccnb import stats
from ccnb.errors import SpecError, did_you_mean
from ccnb.frames.compared import Frame
from ccnb.render import count, duration, money, number

ALPHA = 0.05

Wanted = tuple[str, str, str, str]
"""An axis, two of its levels, a metric."""

_WITH_FAILURES = ("passed",)
"""Metrics of which also runs that ended badly have a value; times and costs of those are of other work."""


@dataclass(frozen=True)
class Contrast:
    """How level `b` of an axis stands to level `a`, in pairs of runs of one block."""

    axis: str
    a: str
    b: str
    metric: str
    difference: stats.Difference
    median_a: float
    median_b: float
    p: float
    """Of the whole family of contrasts that were looked at together (Holm)."""
    family: int
    """How many these were."""
    detectable: float
    """The smallest difference that would have been found four times in five, in that family: 0.1 for 10 %, or
    for 10 points of a pass rate; NaN for none."""

    @property
    def is_found(self) -> bool:
        """Return whether there is evidence of a difference."""
        return self.p <= ALPHA

    @property
    def n(self) -> int:
        """Return the number of pairs."""
        return self.difference.n

    def __str__(self) -> str:
        needed = stats.least_pairs(ALPHA / self.family)
        if self.n < needed:
            among = f" among {self.family}" if self.family > 1 else ""
            return (
                f"{self.metric}: {self._pairs()} of {self.a} and {self.b} can't show any difference{among} "
                f"({needed} are needed)"
            )
        return self._claim() if self.is_found else self._no_claim()

    def __repr__(self) -> str:
        return f"<Contrast {self}>"

    def _claim(self) -> str:
        a, b = shown(self.metric, self.median_a), shown(self.metric, self.median_b)
        if self.metric == "passed":
            what = f"{self.b} passes {100 * self.difference.estimate:+.0f} points against {self.a}"
        elif self.difference.scale == "ratio":
            times = f"{number(self.difference.estimate)} times that of {self.a}"
            what = f"{self.b} has {times}, by the medians {b} and {a}"
        else:
            sign = "+" if self.difference.estimate > 0 else ""
            what = f"{self.b} differs from {self.a} by {sign}{number(self.difference.estimate)}"
        return f"{self.metric}: {what} ({self._numbers()})"

    def _no_claim(self) -> str:
        text = f"{self.metric}: no evidence of a difference between {self.a} and {self.b} ({self._numbers()})"
        if math.isnan(self.detectable) or not self.detectable:
            return text
        size = f"{number(100 * self.detectable, 2)} {'points' if self.metric == 'passed' else '%'}"
        return f"{text}; one of {size} would have been found four times in five"

    def _pairs(self) -> str:
        return f"{self.n} pair{'' if self.n == 1 else 's'}"

    def _numbers(self) -> str:
        d = self.difference
        word = "ratio" if d.scale == "ratio" else "difference"
        of = f" among {self.family}" if self.family > 1 else ""
        interval = f"95 % interval {number(d.low)} to {number(d.high)}"
        return f"{word} {number(d.estimate)}, {interval}, {_p(self.p)}{of}, {self._pairs()}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def shown(metric: str, value: float) -> str:
    """Return a value with the unit that the metric's name says."""
    if math.isnan(value):
        return "-"
    if metric.endswith("_s"):
        return duration(value)
    if metric.endswith("_usd"):
        return money(value)
    return count(round(value)) if metric.endswith("_tokens") else number(value)


def contrasts(frame: Frame, axes: Sequence[str], pairs: Iterable[Wanted]) -> list[Contrast]:
    """Return the contrasts of one family: each an axis, two of its levels, a metric."""
    pairs = list(pairs)
    found = [_one(frame, axes, pair, len(pairs)) for pair in pairs]
    adjusted = stats.holm([1.0 if math.isnan(one.p) else one.p for one in found])
    return [replace(one, p=float(p)) for one, p in zip(found, adjusted, strict=True)]


def pairs_of(axis: str, levels: Sequence[str], metric: str) -> list[Wanted]:
    """Return every pair of an axis's levels, for a metric."""
    return [(axis, a, b, metric) for a, b in itertools.combinations(levels, 2)]


def check_metric(frame: Frame, metric: str) -> None:
    """See that a metric can be compared.

    Raises
    ------
    SpecError
    """
    known = [
        c for c in frame.columns if c == "passed" or c.endswith(("_s", "_usd", "_tokens", "_turns", "_files"))
    ]
    known = [*known, "num_turns", "num_files"]
    if metric not in known:
        near = did_you_mean(metric, known) or f"; known are {', '.join(dict.fromkeys(known))}"
        raise SpecError(f"metric {metric!r} can't be compared{near}")


def counted(frame: Frame, metric: str) -> Frame:
    """Return the rows that count for a metric."""
    rows = frame[frame["counted"].astype(bool)]
    return rows if metric in _WITH_FAILURES else rows[rows["outcome"] == "success"]


def _one(frame: Frame, axes: Sequence[str], wanted: Wanted, family: int) -> Contrast:
    axis, a, b, metric = wanted
    one, two = _paired(frame, axes, wanted)
    found = stats.difference(one, two, scale="difference" if metric in _WITH_FAILURES else None)
    return Contrast(
        axis=axis,
        a=a,
        b=b,
        metric=metric,
        difference=found,
        median_a=stats.median(one).estimate,
        median_b=stats.median(two).estimate,
        p=found.p,
        family=family,
        detectable=_detectable(metric, found, (one, two), family),
    )


def _detectable(metric: str, found: stats.Difference, values: tuple[Any, Any], family: int) -> float:
    """Return the smallest difference that such pairs would have shown; NaN where nothing says how small."""
    # The least of a family's p must be as small as this; those behind it in Holm's order need less.
    alpha = ALPHA / family
    if metric == "passed" and found.n:
        return stats.detectable_of_rates(found.n, float(sum(v.mean() for v in values)) / 2, alpha=alpha)
    return stats.detectable(found.n, found.spread, alpha=alpha) if found.scale == "ratio" else math.nan


def _paired(frame: Frame, axes: Sequence[str], wanted: Wanted) -> tuple[Any, Any]:
    """Return the values of two levels, those of one block and of the same other factors side by side."""
    axis, a, b, metric = wanted
    rows = counted(frame, metric)
    keys = ["block", *(other for other in axes if other != axis)]
    one, two = (rows[rows[axis] == level].set_index(keys)[metric].astype(float) for level in (a, b))
    both = one.to_frame("a").join(two.to_frame("b"), how="inner").dropna()
    return both["a"].to_numpy(), both["b"].to_numpy()
