"""Budgets: what a run, or several runs together, may spend before the gateway refuses further calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccnb.events import Usage
from ccnb.gateway.registration import CALLS_FILE, Registration, append_line

_SPENT = ("cost_usd", *Usage.__slots__)
"""What a call's line says of its price and of its tokens."""


class Ledger:
    """What calls have spent so far. A file of JSON lines, one for each call, knows it after a restart too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent_usd = 0.0
        self.spent_tokens = 0
        for line in _lines(path):
            # What is no line of ours has no say.
            with suppress(ValueError, TypeError):
                self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take one more call into account; its line is written elsewhere."""
        usd = float(line.get("cost_usd") or 0)
        self.spent_tokens += sum(int(line.get(name) or 0) for name in Usage.__slots__)
        self.spent_usd += usd


@dataclass(frozen=True)
class Refusal:
    """Why no further call may be made."""

    kind: str
    """In a word: `budget`, `budget_tokens`."""
    message: str


@dataclass(frozen=True)
class Budget:
    """Limits and what was spent of them."""

    limit_usd: float | None
    limit_tokens: int | None
    ledger: Ledger
    shared: bool = False
    """Whether other runs spend of it too, in a ledger of their own file."""

    def refusal(self) -> Refusal | None:
        """Return why no further call may be made; None while there is something left.

        Calls that are under way when a limit is reached still go through to their end.
        """
        whose = "these runs together have" if self.shared else "the run has"
        usd, tokens = self.ledger.spent_usd, self.ledger.spent_tokens
        if self.limit_usd is not None and usd >= self.limit_usd:
            text = f"{whose} used up the budget of ${self.limit_usd:g} (${usd:.4f} spent)"
            return Refusal("budget", text)
        if self.limit_tokens is not None and tokens >= self.limit_tokens:
            text = f"{whose} used up the budget of {self.limit_tokens:,} tokens ({tokens:,} used)"
            return Refusal("budget_tokens", text)
        return None

    def spend(self, run_id: str, line: Mapping[str, Any]) -> None:
        """Take a call off, by its line."""
        spent = {name: line[name] for name in _SPENT if line.get(name)}
        if not spent:
            return
        self.ledger.add(spent)
        if self.shared:
            self.ledger.path.parent.mkdir(mode=0o700, exist_ok=True)
            append_line(self.ledger.path, {"run_id": run_id, **spent})


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
        return Budget(known.budget_usd, known.budget_tokens, self._ledgers[path], shared=group is not None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text()
    except OSError:
        return
    for line in text.splitlines():
        # Not so the half line of a machine that went down.
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                yield value
