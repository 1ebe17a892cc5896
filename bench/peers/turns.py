"""By turns: each round has every contestant once, and every second round goes backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Take = Callable[[], Mapping[str, Any]]
Taken = list[Mapping[str, Any]]


@dataclass
class Rounds:
    """What each contestant gave in each round, and why one left."""

    taken: dict[str, Taken] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def by_turns(contestants: Mapping[str, Take], rounds: int, *, warm_up: int = 1) -> Rounds:
    """Return what each gave, its warm-up rounds left out. One that fails is out from then on."""
    found = Rounds({name: [] for name in contestants})
    for number in range(-warm_up, rounds):
        for name in list(contestants) if number % 2 else reversed(list(contestants)):
            if name in found.left:
                continue
            try:
                taken = contestants[name]()
            except Exception as error:  # noqa: BLE001 - told in the contestant's rows
                found.left[name] = str(error) or type(error).__name__
                found.taken[name] = []
                continue
            if number >= 0:
                found.taken[name].append(taken)
    return found
