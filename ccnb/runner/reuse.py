"""An earlier run that stands for the same one again, so that nobody pays for it twice."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from ccnb import _loop
from ccnb import mode as modes
from ccnb.errors import CcnbError
from ccnb.mode.base import Say
from ccnb.runner import model as models
from ccnb.runner import workspace as workspaces
from ccnb.spec import RunSpec, git_url
from ccnb.store import RunRow, Store

_SAME = ("api_digest", "image_digest", "program")
"""Of a run's conditions: what its spec only names, and what can have changed under that name."""


def earlier(spec: RunSpec, store: Store, say: Say) -> RunRow | None:
    """Return the latest successful run of the same spec that began on the same files.

    Where it goes on with an earlier run, that run is what it began on.
    """
    if spec.workspace is not None and git_url(spec.workspace):
        # What a branch has may have changed.
        return None
    rows = [row for row in store.runs(fingerprint=spec.fingerprint(), outcome="success") if _passed(row)]
    now = _conditions(spec, say) if rows else None
    if now is None:
        return None
    for row in rows:
        if any(row.progress.conditions.get(name) != now.get(name) for name in _SAME):
            continue
        own = spec.workspace is None or spec.continues is not None
        if own or row.progress.baseline == baseline(str(spec.workspace), store):
            return row
    return None


def baseline(workspace: str, store: Store) -> str:
    """Return the tree of a workspace as it is now."""
    scratch = store.folder(f"scratch-{secrets.token_hex(8)}")
    scratch.make()
    try:
        return workspaces.snapshot(scratch, Path(workspace))
    finally:
        scratch.remove()


def _passed(row: RunRow) -> bool:
    return row.record is not None and (row.record.check is None or row.record.check.passed)


def _conditions(spec: RunSpec, say: Say) -> dict[str, Any] | None:
    """Return what a run of the spec would meet now; `None` where it would not begin, and will say why."""
    try:
        image = _loop.run(modes.get(spec.mode).prepare(spec, say))
    except CcnbError:
        return None
    return {**image.conditions, "api_digest": models.source_digest(spec)}
