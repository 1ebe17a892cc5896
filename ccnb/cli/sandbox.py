"""The sandboxes of this store: what `sandbox ls` and `sandbox rm` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ccnb import _loop, render
from ccnb.cli.output import console, print_json, say
from ccnb.errors import CcnbError, RunNotFoundError, SpecError
from ccnb.mode.base import Place
from ccnb.mode.sandbox import SandboxMode
from ccnb.runner.plan import store_id
from ccnb.runner.sweep import Swept, remove_places
from ccnb.store import Store


def list_sandboxes(*, as_json: bool) -> int:
    """Print the sandboxes, with the run that each belongs to, or the name under which it lasts."""
    store = Store()
    rows = [
        {
            "name": place.id,
            "lasting": str(place.details.get("lasting") or ""),
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
        say("this store has no sandbox")
    else:
        console().print(render.sandboxes_table(rows))
    return 0


def remove_sandboxes(names: Sequence[str], *, everything: bool, as_json: bool) -> int:
    """Remove sandboxes by their names or their runs; say what became of each."""
    if bool(names) == everything:
        raise SpecError("name runs or sandboxes, or give --all")
    store = Store()
    places = _places(store)
    known = {word: place for place in places for word in _words(place)}
    for name in names:
        if name not in known:
            raise SpecError(f"this store has no sandbox {name!r}; `ccnb sandbox ls` lists all")
    wanted = places if everything else list({known[name].id: known[name] for name in names}.values())
    found = [_remove(store, place) for place in wanted]
    if as_json:
        print_json([asdict(one) for one in found])
        return 0
    for place, one in zip(wanted, found, strict=True):
        word = "removed" if one.removed else f"left alone: {one.why}:"
        say(f"{word} {place.id}" + (f" of run {one.run_id}" if one.run_id else ""))
    return 0 if all(one.removed for one in found) else 1


def _places(store: Store) -> list[Place]:
    async def look() -> list[Place]:
        mode, label = SandboxMode(), store_id(store)
        return [*await mode.lasting(label, store.home), *await mode.places(label)]

    return _loop.run(look())


def _words(place: Place) -> list[str]:
    """Return the words by which a person names a sandbox."""
    return [word for word in (place.id, place.run_id, place.details.get("lasting")) if word]


def _remove(store: Store, place: Place) -> Swept:
    """Remove a sandbox, but for one whose run a living process follows."""
    mode = SandboxMode()
    swept = Swept(place.run_id, mode.name, True, "it was asked for")
    if place.run_id:
        (swept,) = remove_places(mode.name, [place])
    if swept.removed and place.details.get("lasting"):
        try:
            _loop.run(mode.forget(place, store.home))
        except CcnbError as error:
            return Swept(place.run_id, mode.name, False, error.message)
    return swept


def _state(store: Store, run_id: str) -> str:
    if not run_id:
        return "free"
    try:
        row = store.run(run_id)
    except RunNotFoundError:
        return "unknown"
    return row.outcome or row.state
