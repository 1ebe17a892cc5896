"""A row of the table: what was measured of this project and of a peer, by turns, and who is ahead."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from bench.peers.figures import Better, Figure

NOT_MEASURED = "not measured"
"""How the reason begins of a row that should have values."""


@dataclass(frozen=True)
class Row:
    """One figure beside one peer."""

    figure: str
    peer: str
    unit: str
    better: Better = "lower"
    ours: list[float] = field(default_factory=list)
    """One value for each round."""
    theirs: list[float] = field(default_factory=list)
    """The value of the same round."""
    compared: str = ""
    """What exactly stands beside what."""
    why: str = ""
    """Why there is no such value of the peer."""

    @classmethod
    def has_none(cls, figure: Figure, peer: str, why: str) -> Self:
        """Return the row of a figure that a peer has nothing for."""
        return cls(figure.name, peer, figure.unit, figure.better, why=f"has none: {why}")

    @classmethod
    def not_compared(cls, figure: Figure, peer: str, why: str) -> Self:
        """Return the row of a figure that a peer may have, and that is left out on purpose."""
        return cls(figure.name, peer, figure.unit, figure.better, why=f"not compared: {why}")

    @classmethod
    def absent(cls, figure: Figure, peer: str, why: str) -> Self:
        """Return the row of a figure that could not be measured."""
        return cls(figure.name, peer, figure.unit, figure.better, why=f"{NOT_MEASURED}: {why}")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make it from JSON."""
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)

    @property
    def measured(self) -> bool:
        """Whether there are values of both."""
        return bool(self.ours and self.theirs)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios, ours by theirs; none where a value is not above zero."""
        ratios = self._ratios()
        return statistics.median(ratios) if ratios else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The quartiles of those ratios."""
        ratios = self._ratios()
        return quartiles(ratios) if ratios else None

    @property
    def ahead(self) -> str:
        """`this project`, the peer's name, `neither`, or nothing where there is nothing to compare."""
        if not self.measured:
            return ""
        low, high = quartiles([a - b for a, b in zip(self.ours, self.theirs, strict=True)])
        if low <= 0 <= high:
            return "neither"
        return "this project" if (high < 0) == (self.better == "lower") else self.peer

    @property
    def verdict(self) -> str:
        """Who is ahead, in words."""
        if not self.measured:
            return self.why
        if self.ahead == "neither":
            return "no clear difference"
        return f"{self.ahead} is ahead{self._by_how_much()}"

    def _by_how_much(self) -> str:
        if self.ratio is None:
            apart = abs(statistics.median(a - b for a, b in zip(self.ours, self.theirs, strict=True)))
            return f", by {number(apart)} {self.unit}"
        factor = max(self.ratio, 1 / self.ratio)
        return f", {factor:.2f} times" if factor < 10 else f", {factor:.0f} times"

    def _ratios(self) -> list[float]:
        if not self.measured or min(*self.ours, *self.theirs) <= 0:
            return []
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]


def rows_of(measured: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a session, one peer's after the other's."""
    rows = [Row.from_dict(data) for data in measured["rows"]]
    peers = list(dict.fromkeys(row.peer for row in rows))
    return sorted(rows, key=lambda row: peers.index(row.peer))


def quartiles(values: list[float]) -> tuple[float, float]:
    """Return the first and the third quartile; of one value, that value twice."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def number(value: float) -> str:
    """Return a value with three digits that count, without an exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def summed(values: list[float]) -> str:
    """Return the median and the quartiles as text."""
    if not values:
        return ""
    low, high = quartiles(values)
    return f"{number(statistics.median(values))} ({number(low)} to {number(high)})"


def ratio_text(row: Row) -> str:
    """Return the ratio and its quartiles as text; where one side is at zero there is none."""
    if row.ratio is None or row.spread is None:
        return "none" if row.measured else ""
    low, high = row.spread
    return f"{row.ratio:.2f} ({low:.2f} to {high:.2f})"
