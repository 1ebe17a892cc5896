"""An earlier run that stands for the same one again, so that nobody pays for it twice."""

from __future__ import annotations

import secrets
from pathlib import Path

from ccnb.runner import model as models
from ccnb.runner import workspace as workspaces
from ccnb.spec import RunSpec, git_url
from ccnb.store import RunRow, Store


def earlier(spec: RunSpec, store: Store) -> RunRow | None:
    """Return the latest successful run of the same spec that began on the same files.

    Where it goes on with an earlier run, that run is what it began on.
    """
    if spec.workspace is not None and git_url(spec.workspace):
        # What a branch has may have changed.
        return None
    digest = models.source_digest(spec)
    for row in store.runs(fingerprint=spec.fingerprint(), outcome="success"):
        if row.record is not None and row.record.check is not None and not row.record.check.passed:
            continue
        if row.progress.conditions.get("api_digest") != digest:
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
