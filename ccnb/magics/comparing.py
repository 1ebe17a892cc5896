"""A cell that is run in several modes: one comparison, and one view of all its runs."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import Any

from IPython.core.error import UsageError

from ccnb.comparison.background import Comparing
from ccnb.comparison.result import Comparison
from ccnb.magics.live import open_view
from ccnb.magics.request import Request
from ccnb.magics.running import LOOK_S, Waiting, kernel_ends, show_end, wait_for_end
from ccnb.render import one_line
from ccnb.runner import api
from ccnb.runner.model import settle, source_digest
from ccnb.runner.reuse import baseline
from ccnb.spec import RunSpec, git_url
from ccnb.store import Store
from ccnb.widgets.purse import purse


async def compared(request: Request, shell: Any, waiting: Waiting) -> Comparison:
    """Run in each mode, one after the other, and return the comparison.

    Raises
    ------
    UsageError
        It was interrupted.
    CcnbError
    """
    limits = purse().limits(request.options, request.modes, runs=len(request.modes))
    view = open_view(shell, quiet=request.quiet, awaited=waiting.answers, together=True)
    name = _name(request)
    going = Comparing(
        request.prompt,
        modes=list(request.modes),
        warmups=0,
        concurrency=1,
        name=name,
        on_progress=view.say,
        on_run=purse().watch,
        **{**request.options, **limits},
    )
    try:
        while not going.done:
            view.look(*going.runs)
            await waiting.pause(LOOK_S)
    except (KeyboardInterrupt, asyncio.CancelledError):
        if await kernel_ends(waiting):
            raise UsageError(f"the comparison {name} stops here; its runs go on") from None
        going.cancel()
        await wait_for_end(lambda: going.done, waiting)
        show_end(view, going.runs)
        raise UsageError(_interrupted(going, name)) from None
    show_end(view, going.runs)
    found = going.result()
    _say_what_failed(found)
    return found


def _name(request: Request) -> str:
    """Return the comparison's name: with `--reuse` the same for the same task on the same files."""
    workspace = request.options.get("workspace")
    if not request.reuse or (workspace is not None and git_url(str(workspace))):
        return f"cell-{api.new_id()}"
    specs = [settle(RunSpec.make(request.prompt, {**request.options, "mode": m})) for m in request.modes]
    parts = [part for spec in specs for part in (spec.fingerprint(), source_digest(spec) or "")]
    if specs[0].workspace is not None:
        parts.append(baseline(specs[0].workspace, Store()))
    return f"cell-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"


def _interrupted(going: Comparing, name: str) -> str:
    if not going.done:
        return "interrupted: runs may still go on; %cc_runs shows them, %cc_stop RUN ends one"
    if not going.runs:
        return "interrupted before an agent had begun; nothing goes on"
    return f"interrupted: its runs were stopped and cleaned up, and are kept: ccnb.Comparison({name!r})"


def _say_what_failed(found: Comparison) -> None:
    """Say in red, below the cell, why an arm has no run that counts."""
    for row in found.failures().drop_duplicates("arm", keep="last").to_dict("records"):
        if not row["counted"]:
            sys.stderr.write(one_line(f"{row['arm']}: {row['error'] or row['outcome']}") + "\n")
