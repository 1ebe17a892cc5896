"""A comparison that goes on while its caller does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ccnb import _loop
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
        self._ended = threading.Event()
        self._future = _loop.submit(self._compare(prompts, options))

    @property
    def done(self) -> bool:
        """Return whether it is over, its clean-up too."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Begin no more runs and end those that go on; `done` says when that is so."""
        self._future.cancel()

    def result(self) -> Comparison:
        """Wait for the end and return what came of it.

        Raises
        ------
        CcnbError
        concurrent.futures.CancelledError
        """
        return self._future.result()

    async def _compare(self, prompts: Prompts, options: dict[str, Any]) -> Comparison:
        try:
            return await acompare(prompts, on_run=self._take, **options)
        finally:
            self._ended.set()

    def _take(self, run: Run) -> None:
        self.runs.append(run)
        if self._on_run is not None:
            self._on_run(run)
