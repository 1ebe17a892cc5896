"""Budgets: what a run, or several runs together, may cost before the gateway refuses further calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ccnb.gateway.registration import CALLS_FILE, Registration, append_line


class Ledger:
    """What calls have cost so far. A file of JSON lines with `cost_usd` knows it after a restart too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent_usd = sum(_costs(path))

    def add(self, cost_usd: float) -> None:
        """Take one more call into account; its line is written elsewhere."""
        self.spent_usd += cost_usd


@dataclass(frozen=True)
class Budget:
    """A limit and what was spent of it."""

    limit_usd: float | None
    ledger: Ledger
    shared: bool = False
    """Whether other runs spend of it too, in a ledger of their own file."""

    def refusal(self) -> str | None:
        """Return why no further call may be made; None while there is something left.

        Calls that are under way when the limit is reached still go through to their end.
        """
        if self.limit_usd is None or self.ledger.spent_usd < self.limit_usd:
            return None
        whose = "these runs together have" if self.shared else "the run has"
        return f"{whose} used up the budget of ${self.limit_usd:g} (${self.ledger.spent_usd:.4f} spent)"

    def spend(self, run_id: str, cost_usd: float | None) -> None:
        """Take a call's cost off."""
        if cost_usd is None:
            return
        self.ledger.add(cost_usd)
        if self.shared:
            self.ledger.path.parent.mkdir(mode=0o700, exist_ok=True)
            append_line(self.ledger.path, {"run_id": run_id, "cost_usd": cost_usd})


class Budgets:
    """All budgets of a store; runs of one group get the same ledger."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ledgers: dict[Path, Ledger] = {}

    def of(self, known: Registration) -> Budget:
        """Return a run's budget."""
        group = known.budget_group
        path = (
            self._home / "budgets" / f"{group}.jsonl"
            if group
            else self._home / "runs" / known.run_id / CALLS_FILE
        )
        if path not in self._ledgers:
            self._ledgers[path] = Ledger(path)
        return Budget(known.budget_usd, self._ledgers[path], shared=group is not None)


def _costs(path: Path) -> list[float]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    costs = []
    for line in lines:
        try:
            costs.append(float(json.loads(line).get("cost_usd") or 0))
        except (ValueError, AttributeError):
            # The half line of a machine that went down.
            continue
    return costs
