"""Lists that people hold: of runs, and of modes. They are lists, and look like tables."""

from __future__ import annotations

from dataclasses import asdict

from ccnb import render
from ccnb.mode.base import Readiness
from ccnb.render import Grid, ListedRun
from ccnb.render.shown import Bundle, ShownWhole, grid_bundle
from ccnb.runner.sweep import Swept
from ccnb.store import RunRow

_MOST = 50


class RunList(ShownWhole, list[RunRow]):
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


class ModeList(ShownWhole, list[Readiness]):
    """Modes, the strongest isolation first."""

    def _bundle(self) -> Bundle:
        return grid_bundle(render.readiness_table([asdict(mode) for mode in self]))


class SweptList(ShownWhole, list[Swept]):
    """Places that a sweep has looked at."""

    def _bundle(self) -> Bundle:
        if not self:
            words = "nothing was left behind"
            return {"text/plain": words, "text/html": f"<i>{words}</i>"}
        rows = [(one.run_id, one.mode, "removed" if one.removed else "left alone", one.why) for one in self]
        return grid_bundle(Grid(("run", "mode", "", "why"), rows))


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
