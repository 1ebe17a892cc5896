"""Comparisons that lie in a store without having been run."""

from __future__ import annotations

from collections.abc import Callable

from ccnb.comparison.matrix import Matrix, Row
from ccnb.results import Timings
from ccnb.store import Store, comparisons
from ccnb.store.comparisons import Attempt
from tests.kept import keep_run


def keep_comparison(store: Store, name: str, matrix: Matrix, facts: Callable[[Row], dict]) -> None:
    """Put a comparison into a store, or what its matrix has beyond what is there.

    `facts` gives what each row's run is told by; `wall_s` among it is its time.
    """
    comparisons.add(store, name, matrix.to_dict())
    there = {attempt.number for attempt in comparisons.attempts(store, name)}
    for row in matrix.rows():
        if row.number in there:
            continue
        given = facts(row)
        if "wall_s" in given:
            given["timings"] = Timings(agent_s=given.pop("wall_s"))
        run_id = f"{name}-{row.number}"
        spec = matrix.arms[row.arm].spec
        keep_run(store, run_id, mode=spec.mode, **{"check": None} | given)
        comparisons.add_attempt(store, name, Attempt(row.number, 0, run_id))
