"""From what contestants gave in their rounds to rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bench.peers.figures import SHARE, Figure
from bench.peers.rows import Row
from bench.peers.turns import Rounds

OURS = "ours"
Read = Callable[[Mapping[str, Any]], float]


def row(
    rounds: Rounds,
    peer: str,
    figure: Figure,
    read: Read,
    compared: str,
    *,
    ours: str = OURS,
) -> Row:
    """Return the row of two contestants, or the reason why one of them has no values."""
    for name in (ours, peer):
        if name in rounds.left:
            return Row.absent(figure, peer, f"{name}: {rounds.left[name]}")
    return Row(
        figure.name,
        peer,
        figure.unit,
        figure.better,
        [round(read(taken), 4) for taken in rounds.taken[ours]],
        [round(read(taken), 4) for taken in rounds.taken[peer]],
        compared,
    )


def own_share(rounds: Rounds, peer: str, bare: str, compared: str) -> Row:
    """Return what both add to the bare container and agent of the same round, in milliseconds."""
    for name in (OURS, peer, bare):
        if name in rounds.left:
            return Row.absent(SHARE, peer, f"{name}: {rounds.left[name]}")
    shares = [
        [
            round(1000 * (taken["returned_s"] - least["returned_s"]), 1)
            for taken, least in zip(rounds.taken[name], rounds.taken[bare], strict=True)
        ]
        for name in (OURS, peer)
    ]
    return Row(SHARE.name, peer, SHARE.unit, SHARE.better, *shares, compared)


def value(key: str, factor: float = 1) -> Read:
    """Return how a number is read from what a contestant gave."""
    return lambda taken: taken[key] * factor


def median(key: str) -> Read:
    """Return how the median of a list is read."""
    return lambda taken: statistics.median(taken[key])


def p95(key: str) -> Read:
    """Return how the 95th percentile of a list is read."""
    return lambda taken: statistics.quantiles(taken[key], n=20)[18]
