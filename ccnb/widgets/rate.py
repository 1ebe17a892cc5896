"""How much may go to a page: a server drops what is more than it takes, and a page stops answering."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 0.1
"""A view is told something new at most so often."""
BYTES_PER_S = 9_000
BURST_BYTES = 100_000


class Allowance:
    """Bytes that may be sent by now: they come in steadily, and some can be saved up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(BURST_BYTES)
        self._at = clock()

    @property
    def left(self) -> int:
        """Return how many bytes may be sent now; below zero, none."""
        now = self._clock()
        self._left = min(float(BURST_BYTES), self._left + (now - self._at) * BYTES_PER_S)
        self._at = now
        return int(self._left)

    def take(self, count: int) -> None:
        """Note that bytes were sent."""
        self._left -= count
