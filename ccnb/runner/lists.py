"""Lists that people hold: of runs, and of modes. They are lists, and look like tables."""

from __future__ import annotations

from dataclasses import asdict

from ccnb import render
from ccnb.mode.base import Readiness
from ccnb.render import ListedRun
from ccnb.render.shown import Bundle, Shown, grid_bundle
from ccnb.store import RunRow

_MOST = 50


class RunList(list[RunRow], Shown):
    """Runs of the store, the latest first."""

    def _bundle(self) -> Bundle:
        if not self:
            words = "no runs yet"
            return {"text/plain": words, "text/html": f"<i>{words}</i>"}
        bundle = grid_bundle(render.runs_table([listed(row) for row in self[:_MOST]]))
        if len(self) > _MOST:
            words = f"and {len(self) - _MOST:,} more"
            bundle["text/plain"] += f"\n{words}"
            bundle["text/html"] += f"<i>{words}</i>"
        return bundle


class ModeList(list[Readiness], Shown):
    """Modes, the strongest isolation first."""

    def _bundle(self) -> Bundle:
        return grid_bundle(render.readiness_table([asdict(mode) for mode in self]))


def listed(row: RunRow) -> ListedRun:
    """Return a run as a list shows it."""
    return ListedRun(
        run_id=row.run_id,
        mode=row.mode,
        state=row.state,
        started_at=row.created_at,
        prompt=row.spec.prompt,
        size_bytes=row.folder.size_bytes,
        record=row.record,
    )
