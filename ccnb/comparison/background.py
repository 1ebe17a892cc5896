"""A comparison that goes on while its caller does something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any

from ccnb import _loop
from ccnb._interrupts import Flag
from ccnb.comparison.api import acompare
from ccnb.comparison.matrix import Prompts
from ccnb.comparison.result import Comparison
from ccnb.runner.handles import Run


class Comparing:
    """The live handle of a comparison.

    Parameters
    ----------
    prompts, **options
        What `compare` takes. Mistakes in them are raised by `result`; nothing was started then.
    on_run
        Called with each run that begins, on ccnb's own thread.
    """

    def __init__(
        self, prompts: Prompts, *, on_run: Callable[[Run], object] | None = None, **options: Any
    ) -> None:
        self.runs: list[Run] = []
        """Those that have begun so far."""
        self._on_run = on_run
        self._ended = Flag()
        _loop.call(lambda: self._begin(acompare(prompts, on_run=self._take, **options)))

    @property
    def done(self) -> bool:
        """Return whether it is over, its clean-up too."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Begin no more runs and end those that go on; `done` says when that is so."""
        _loop.call(self._cancel)

    def result(self) -> Comparison:
        """Wait for the end and return what came of it.

        Raises
        ------
        CcnbError
        concurrent.futures.CancelledError
        """
        self._ended.wait()
        if self._task.cancelled():
            raise CancelledError
        return self._task.result()

    def _begin(self, work: Coroutine[Any, Any, Comparison]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        # Not in the work itself: what is cancelled at once is never begun, and has ended all the same.
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        self._task.cancel()

    def _end(self, task: asyncio.Task[Comparison]) -> None:
        if not task.cancelled():
            # Asked for, so that asyncio doesn't complain of an error that nobody wanted to hear of.
            task.exception()
        self._ended.set()

    def _take(self, run: Run) -> None:
        self.runs.append(run)
        if self._on_run is not None:
            self._on_run(run)
