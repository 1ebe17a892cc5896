"""`comparison.lock`: all that is needed to run the same matrix again, and to see that it is the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ccnb import _loop
from ccnb import mode as modes
from ccnb.comparison import fate
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.errors import ComparisonError, SpecError
from ccnb.mode.base import Say
from ccnb.redact import Secret
from ccnb.results import RunRecord
from ccnb.runner import model as models
from ccnb.spec import RunSpec
from ccnb.store import Store, comparisons
from ccnb.store.tables import KeptRun

_VERSION = 1


@dataclass(frozen=True)
class Met:
    """What answered in one kind of place."""

    mode: str
    image: str | None
    """As the spec names it; `None` is the project's own."""
    image_digest: str | None = None
    agent_version: str | None = None


@dataclass(frozen=True)
class Lock:
    """A matrix, and what its runs met."""

    matrix: Matrix
    model: str | None
    """The one that answered where none was named."""
    places: tuple[Met, ...]


def write(path: Path, name: str, store: Store) -> Path:
    """Write the lock of a comparison that is kept: JSON, secrets by name only.

    Raises
    ------
    ComparisonError
        The file can't be written.
    """
    matrix = Matrix.from_dict(comparisons.matrix_of(store, name) or {})
    runs = [run for run in comparisons.kept(store, name).values() if _counts(run)]
    content = {
        "ccnb_lock": _VERSION,
        "name": name,
        "matrix": replace(matrix, further=()).to_dict(),
        "model": _model_of(runs),
        "places": [asdict(place) for place in _places_of(runs)],
    }
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ComparisonError(f"{path} can't be written ({error.strerror}); name another file") from None
    return path


def read(path: Path) -> Lock:
    """Read a lock.

    Raises
    ------
    ComparisonError
        The file is none of ours.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["ccnb_lock"] != _VERSION:
            raise ComparisonError(f"{path} was written by a newer ccnb; upgrade ccnb-toolkit")
        places = tuple(Met(**place) for place in content["places"])
        return Lock(Matrix.from_dict(content["matrix"]), content["model"], places)
    except (OSError, ValueError, KeyError, TypeError, SpecError) as error:
        raise ComparisonError(f"{path} is no comparison.lock ({error}); name another file") from None


def restored(lock: Lock) -> list[Arm]:
    """Return the arms of a lock with its model pinned, secrets taken from variables of the same name.

    Raises
    ------
    SpecError
        There is no such variable.
    """
    return [replace(arm, spec=_restored(arm.spec, lock.model)) for arm in lock.matrix.arms]


def check_answers(before: Sequence[Arm], now: Sequence[Arm]) -> None:
    """See that the scripts and cassettes are those of the lock.

    Raises
    ------
    ComparisonError
    """
    for one, other in zip(before, now, strict=True):
        if one.digest != other.digest:
            raise ComparisonError(
                f"{other.spec.api} isn't what it was when the lock was written; put that file back, or "
                "compare without the lock"
            )


def check_places(lock: Lock, arms: Iterable[Arm], say: Say) -> None:
    """See, before anything is run, that the images are those of the lock.

    Raises
    ------
    ComparisonError
    CcnbError
        An image can't be had.
    """
    specs = {(arm.spec.mode, arm.spec.image): arm.spec for arm in arms}
    for place, spec in specs.items():
        image = _loop.run(modes.get(spec.mode).prepare(spec, say))
        _compare(lock, place, {"image_digest": image.conditions.get("image_digest")})


def check_run(lock: Lock, record: RunRecord) -> None:
    """See that a run met what the lock says.

    Raises
    ------
    ComparisonError
    """
    known = {name: record.conditions.get(name) for name in ("image_digest", "agent_version")}
    _compare(lock, (record.spec.mode, record.spec.image), known)


def _compare(lock: Lock, place: tuple[str, str | None], found: Mapping[str, Any]) -> None:
    for met in lock.places:
        for name, value in found.items():
            wanted = getattr(met, name)
            if (met.mode, met.image) == place and wanted and value and wanted != value:
                what = name.replace("_", " ")
                raise ComparisonError(
                    f"the lock has the {what} {wanted} in {met.mode}, and here it is {value}; "
                    f"{_MENDS[name].format(wanted)}, or compare without the lock"
                )


_MENDS = {
    "image_digest": "get that image (`docker save` and `docker load` carry it)",
    "agent_version": "install that one (`ccnb image build --claude-version {}` in an image)",
}


def _restored(spec: RunSpec, model: str | None) -> RunSpec:
    env = {name: _revealed(name) if isinstance(v, Secret) else v for name, v in spec.env.items()}
    pins = spec.model is None and models.needs_credential(spec)
    return replace(spec, env=env, model=model if pins else spec.model)


def _revealed(name: str) -> Secret:
    if name not in os.environ:
        raise SpecError(f"the lock has the secret {name} by its name only; export the variable, then go on")
    return Secret(os.environ[name])


def _counts(run: KeptRun) -> bool:
    return run.record is not None and fate.counts(run.record["outcome"])


def _model_of(runs: Sequence[KeptRun]) -> str | None:
    """Return the model that answered where the model itself was asked; the driver pins the first."""
    served = [
        run.record["conditions"].get("model")
        for run in runs
        if run.record is not None and run.record["spec"]["api"] == "live"
    ]
    return served[0] if served else None


def _places_of(runs: Sequence[KeptRun]) -> list[Met]:
    """Return what the latest run of each mode and image met."""
    found = {}
    for run in runs:
        record = run.record or {}
        known = record.get("conditions") or {}
        place = (record["mode"], record["spec"]["image"])
        found[place] = Met(*place, known.get("image_digest"), known.get("agent_version"))
    return list(found.values())
