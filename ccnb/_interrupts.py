"""Ctrl-C, which comes between any two steps of Python: held back for a while, or heard while one waits."""

from __future__ import annotations

import math
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SLICE_S = 0.2


class Flag:
    """What one thread sets and others wait for, as `threading.Event`; Ctrl-C may come at any moment.

    An event waits in many steps of Python on a lock that it gives back meanwhile: a Ctrl-C between two of
    them ends in a `RuntimeError` about that lock. The one step here is the queue's, which is written in C.
    """

    def __init__(self) -> None:
        self._set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and wake who waits for it."""
        if not self._set:
            self._set = True
            self._wakes.put(None)

    def clear(self) -> None:
        """Take it back. Only the one thread that waits for a flag may do so."""
        # In this order: whoever sets it from here on leaves a mark that is seen.
        self._set = False
        while not self._wakes.empty():
            self._wakes.get()

    def wait(self, limit_s: float = math.inf) -> bool:
        """Wait until it is set, but not longer than the limit; return whether it is."""
        until = time.monotonic() + limit_s
        while not self._set and (left_s := until - time.monotonic()) > 0:
            try:
                # In slices: a wait without an end may sleep through a signal that another thread took.
                self._wakes.get(timeout=min(left_s, _SLICE_S))
            except queue.Empty:
                continue
            if self._set:
                # For whoever else waits.
                self._wakes.put(None)
        return self._set


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block.

    By a handler, not by a mask: a masked signal goes to another thread, and Python interrupts this one.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        # Other threads get no Ctrl-C; and what was set by no Python could not be set again.
        yield
        return
    came = False

    def hold(*_: object) -> None:
        nonlocal came
        came = True

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
