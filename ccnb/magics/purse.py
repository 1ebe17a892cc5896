"""What a notebook may spend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from ccnb.render import money
from ccnb.results import RunRecord
from ccnb.runner.handles import Run

_FREE = ("script", "replay")


class Purse:
    """Counts what runs cost from this kernel on; those whose model is no live one cost nothing."""

    def __init__(self) -> None:
        self._spent_usd: dict[str, float] = {}
        self._open: dict[str, tuple[Run, float]] = {}

    @property
    def spent_usd(self) -> float:
        """Return what has been spent; a run that goes on counts with all that it may spend."""
        for run_id, (run, _) in list(self._open.items()):
            if run.done:
                del self._open[run_id]
                if not run.failed:
                    self.take(run.result())
        return sum(self._spent_usd.values()) + sum(budget for _, budget in self._open.values())

    def budget_usd(self, options: Mapping[str, Any], limit_usd: float | None) -> float | None:
        """Return how much the next run may spend; `None` is without a limit.

        Raises
        ------
        UsageError
            There is nothing left.
        """
        asked: float | None = options.get("budget_usd")
        limit_usd = _limit() if limit_usd is None else limit_usd
        if limit_usd is None or not _costs(options.get("api", "live")):
            return asked
        left = limit_usd - self.spent_usd
        if left <= 0:
            raise UsageError(
                f"{money(self.spent_usd)} of {money(limit_usd)} are spent or promised; "
                f"for more, set %config CcMagics.max_usd = {2 * limit_usd:g}"
            )
        return left if asked is None else min(asked, left)

    def take(self, record: RunRecord) -> None:
        """Count a run that has ended."""
        if _costs(record.spec.api):
            self._spent_usd[record.run_id] = record.total_cost_usd

    def promise(self, run: Run, budget_usd: float | None) -> None:
        """Count a run that goes on in the background."""
        self._open[run.run_id] = (run, budget_usd or 0.0)


def _costs(api: str) -> bool:
    return api.partition(":")[0] not in _FREE


def _limit() -> float | None:
    text = os.environ.get("CCNB_MAX_USD", "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"CCNB_MAX_USD must be a number of dollars, not {text!r}; mend or unset it"
        ) from None
