"""Go on where an earlier run has ended: in its conversation, in its workspace."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ccnb.errors import SpecError
from ccnb.runner.handles import RunResult
from ccnb.spec import RunSpec
from ccnb.store import RunFolder, Store

_REMOVAL_S, _LOOK_S = 15.0, 0.02
_PROJECTS = Path("config", "projects")
"""Where Claude Code (2.1) keeps conversations: a folder for each workspace, a file for each session."""


def continued(spec: RunSpec, store: Store) -> RunSpec:
    """Return the spec with what it takes from the run that it goes on with, if it does so.

    Raises
    ------
    RunNotFoundError
    SpecError
        That run can't be gone on with.
    """
    if spec.continues is None:
        return spec
    row = store.run(spec.continues)
    if row.record is None:
        raise SpecError(f"continues: run {row.run_id} isn't finished; attach to it first")
    result = RunResult.of(row.record, store.home)
    session = result.session_id
    if session is None or _conversation(row.folder, session) is None:
        raise SpecError(f"continues: run {row.run_id} has no conversation to go on with; start a new one")
    workspace = str(result.workspace)
    if spec.workspace not in (None, workspace) or spec.resume not in (None, session):
        raise SpecError("continues takes workspace and conversation from the earlier run; leave both out")
    return replace(
        spec,
        continues=row.run_id,
        resume=session,
        workspace=workspace,
        mode=row.mode if spec.mode == "auto" else spec.mode,
        model=spec.model or row.spec.model,
    )


async def wait_for_removal(spec: RunSpec, store: Store) -> None:
    """Wait until the earlier run's place is gone: with it, its hold on the workspace ends."""
    if spec.continues is None or store.run(spec.continues).spec.keep:
        return
    until = time.monotonic() + _REMOVAL_S
    while store.place(spec.continues) and time.monotonic() < until:  # noqa: ASYNC110 - a process may do it
        await asyncio.sleep(_LOOK_S)


def carry_over(folder: RunFolder, spec: RunSpec) -> None:
    """Bring the conversation into a run's own folder; nothing else of the earlier run's configuration.

    Raises
    ------
    SpecError
        It is gone.
    """
    if spec.continues is None or spec.resume is None:
        return
    earlier = RunFolder(folder.path.parent / spec.continues)
    found = _conversation(earlier, spec.resume)
    descriptor = earlier.open_inside(str(found)) if found else None
    if found is None or descriptor is None:
        raise SpecError(f"continues: the conversation of run {spec.continues} is gone; start a new one")
    target = folder.inside / found
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _conversation(folder: RunFolder, session: str) -> Path | None:
    """Return a session's file, relative to the folder's inner part."""
    name = f"{session}.jsonl"
    for project in _folders(folder.inside):
        if (folder.inside / project / name).is_file():
            return project / name
    return None


def _folders(inside: Path) -> Iterator[Path]:
    """Yield the folders of conversations; the agent may have put links in their place."""
    projects = inside / _PROJECTS
    if projects.is_dir() and not any(path.is_symlink() for path in (projects, projects.parent)):
        with os.scandir(projects) as entries:
            yield from (_PROJECTS / e.name for e in entries if e.is_dir(follow_symlinks=False))
