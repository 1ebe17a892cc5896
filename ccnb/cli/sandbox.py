"""The sandboxes of this store's runs: what `sandbox ls` and `sandbox rm` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ccnb import _loop, render
from ccnb import mode as modes
from ccnb.cli.output import console, print_json, say
from ccnb.errors import RunNotFoundError, SpecError
from ccnb.mode.base import Place
from ccnb.runner.plan import store_id
from ccnb.runner.sweep import remove_places
from ccnb.store import Store

_MODE = "sandbox"


def list_sandboxes(*, as_json: bool) -> int:
    """Print the sandboxes, with the run that each belongs to."""
    store = Store()
    rows = [
        {
            "name": place.id,
            "run_id": place.run_id,
            "program": str(place.details["program"]),
            "run": _state(store, place.run_id),
            "workspace": str(place.details["workspace"]),
        }
        for place in _places(store)
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        say("no run of this store has a sandbox")
    else:
        console().print(render.sandboxes_table(rows))
    return 0


def remove_sandboxes(names: Sequence[str], *, everything: bool, as_json: bool) -> int:
    """Remove sandboxes by their names or their runs; say what became of each."""
    if bool(names) == everything:
        raise SpecError("name runs or sandboxes, or give --all")
    places = _places(Store())
    known = {word: place for place in places for word in (place.id, place.run_id)}
    for name in names:
        if name not in known:
            raise SpecError(f"no run of this store has a sandbox {name!r}; `ccnb sandbox ls` lists them")
    wanted = places if everything else list({known[name].id: known[name] for name in names}.values())
    found = remove_places(_MODE, wanted)
    if as_json:
        print_json([asdict(one) for one in found])
        return 0
    for place, one in zip(wanted, found, strict=True):
        word = "removed" if one.removed else f"left alone: {one.why}:"
        say(f"{word} {place.id} of run {one.run_id}")
    return 0 if all(one.removed for one in found) else 1


def _places(store: Store) -> list[Place]:
    return _loop.submit(modes.get(_MODE).places(store_id(store))).result()


def _state(store: Store, run_id: str) -> str:
    try:
        row = store.run(run_id)
    except RunNotFoundError:
        return "unknown"
    return row.outcome or row.state
