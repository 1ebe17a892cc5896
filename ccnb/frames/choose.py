"""Which runs a frame is made of: some results, or what a filter takes from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ccnb.errors import SpecError
from ccnb.runner.api import result_of
from ccnb.runner.choice import check_choice
from ccnb.runner.handles import RunResult
from ccnb.store import RunRow, Store
from ccnb.store.tables import KeptRun, chosen_ids, kept_runs

Runs = RunResult | RunRow | Iterable[RunResult | RunRow] | None
"""One run, several, or `None`: those of the store."""

Where = Mapping[str, Any]


def facts(runs: Runs, where: Where) -> Iterator[KeptRun]:
    """Yield what is written down of each chosen run."""
    if runs is None:
        check_choice(where)
        yield from kept_runs(Store(), **where)
        return
    for run in _given(runs, where):
        record = run if isinstance(run, RunResult) else run.record
        yield KeptRun(
            run_id=run.run_id,
            mode=run.mode,
            state="done" if isinstance(run, RunResult) else run.state,
            started_at=_began(run),
            fingerprint=run.spec.fingerprint(),
            spec=run.spec.to_dict(),
            record=record.to_dict() if record else None,
        )


def stores(runs: Runs, where: Where) -> Iterator[tuple[Store, str, float]]:
    """Yield for each chosen run the store that has its events, its id, and when it began (unix seconds)."""
    if runs is None:
        check_choice(where)
        store = Store()
        yield from ((store, *row) for row in chosen_ids(store, **where))
        return
    known: dict[Any, Store] = {}
    for run in _given(runs, where):
        home = run.home if isinstance(run, RunResult) else run.folder.path.parent.parent
        yield known.setdefault(home, Store(home)), run.run_id, _began(run)


def results(runs: Runs, where: Where) -> Iterator[RunResult]:
    """Yield the chosen runs that have ended."""
    if runs is None:
        check_choice(where)
    for run in Store().runs(**where) if runs is None else _given(runs, where):
        if isinstance(run, RunResult):
            yield run
        elif run.record is not None:
            yield result_of(run)


def _began(run: RunResult | RunRow) -> float:
    if isinstance(run, RunResult):
        return run.started_at.timestamp()
    return run.progress.marks.get("begin", run.created_at.timestamp())


def _given(runs: Any, where: Where) -> list[RunResult | RunRow]:
    if where:
        raise SpecError("a filter chooses from the store, not from given runs; leave one of the two out")
    given = [runs] if isinstance(runs, RunResult | RunRow) else _listed(runs)
    for run in given:
        if not isinstance(run, RunResult | RunRow):
            raise SpecError(f"{run!r} is no result of a run; give what ccnb.run or ccnb.runs returned")
    return given


def _listed(runs: Any) -> list[Any]:
    if isinstance(runs, str) or not isinstance(runs, Iterable):
        raise SpecError(
            f"{runs!r} is no list of results; give what ccnb.run, ccnb.runs or ccnb.compare returned"
        )
    return list(runs)
