"""What a notebook may spend: one budget for all of its cells and its panel."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ccnb.errors import SpecError
from ccnb.gateway.budget import Ledger
from ccnb.render import money
from ccnb.runner import model as models
from ccnb.runner.handles import Run
from ccnb.spec import RunSpec
from ccnb.store import Store

_FREE = ("script", "replay")
_NAME = "CcMagics.max_usd"


class Purse:
    """Counts what runs cost from this kernel on; those whose model is no live one cost nothing.

    Runs that the gateway serves share one budget, which it holds however many go on at once. Of the others
    each is given its part, and counts with all of it while it goes on.
    """

    def __init__(self, home: Path) -> None:
        self.limit_usd: float | None = None
        """The most that is spent; `None` is what CCNB_MAX_USD says."""
        self.group = f"notebook-{secrets.token_hex(6)}"
        self._ledger = home / "budgets" / f"{self.group}.jsonl"
        self._open: dict[str, tuple[Run, float]] = {}
        self._paid_usd: dict[str, float] = {}

    @property
    def spent_usd(self) -> float:
        """Return what has been spent, with what runs outside of the shared budget may still spend."""
        self._settle()
        promised = sum(usd for run, usd in self._open.values() if not self._shares(run))
        return self._shared_usd + sum(self._paid_usd.values()) + promised

    def limits(
        self, options: Mapping[str, Any], modes: Sequence[str] = ("auto",), *, runs: int = 1
    ) -> dict[str, Any]:
        """Return the options that hold some runs of one spec to what is left.

        Parameters
        ----------
        options
            Of the runs, without the mode. A `budget_usd` among them is for each run.
        modes
            In which they run.
        runs
            How many there are.

        Raises
        ------
        SpecError
            There is nothing left, or the limit is none.
        """
        limit_usd = _from_environment() if self.limit_usd is None else _dollars(_NAME, self.limit_usd)
        if limit_usd is None or not _costs(options.get("api", "live")):
            return {}
        shares = all(_by_gateway(options, mode) for mode in modes)
        spent_usd = self.spent_usd
        if not shares and any(self._shares(run) for run, _ in self._open.values()):
            # What these spend meanwhile only the gateway knows, and it has no part in the new ones.
            spent_usd = limit_usd
        left_usd = limit_usd - spent_usd
        if left_usd <= 0:
            raise SpecError(
                f"{money(spent_usd)} of {money(limit_usd)} are spent or promised; "
                f"for more, set %config {_NAME} = {2 * limit_usd or 1:g}"
            )
        asked = options.get("budget_usd")
        most_usd = left_usd if asked is None else min(asked * runs, left_usd)
        if shares:
            return {"budget_usd": self._shared_usd + most_usd, "budget_group": self.group}
        return {"budget_usd": most_usd / runs}

    def watch(self, run: Run) -> None:
        """Count a run from now on; one that is over was found again, and has been paid for."""
        if not run.done:
            spec = Store().run(run.run_id).spec
            if _costs(spec.api):
                self._open[run.run_id] = (run, spec.budget_usd or 0.0)

    @property
    def _shared_usd(self) -> float:
        return Ledger(self._ledger).spent_usd

    def _settle(self) -> None:
        for run_id, (run, _) in list(self._open.items()):
            if run.done:
                del self._open[run_id]
                record = Store().run(run_id).record
                if record is not None and record.spec.budget_group != self.group:
                    self._paid_usd[run_id] = record.total_cost_usd

    def _shares(self, run: Run) -> bool:
        return Store().run(run.run_id).spec.budget_group == self.group


def purse() -> Purse:
    """Return the purse of this kernel, for the store that it uses."""
    return _purse_of(Store().home)


@cache
def _purse_of(home: Path) -> Purse:
    return Purse(home)


def _costs(api: str) -> bool:
    return api.partition(":")[0] not in _FREE


def _by_gateway(options: Mapping[str, Any], mode: str) -> bool:
    some = {name: options[name] for name in ("api", "auth") if options.get(name) is not None}
    return models.needs_gateway(models.settle(RunSpec.make("any", {**some, "mode": mode})))


def _from_environment() -> float | None:
    text = os.environ.get("CCNB_MAX_USD", "").strip()
    return _dollars("CCNB_MAX_USD", text) if text else None


def _dollars(name: str, given: str | float) -> float:
    """Return a limit as it was given; what is below zero or no number would hold nothing as it should."""
    try:
        usd = float(given)
    except ValueError:
        usd = math.nan
    if not (math.isfinite(usd) and usd >= 0):
        raise SpecError(f"{name} must be a number of dollars, zero or more, not {given!r}; mend or unset it")
    return usd
