"""Sandboxes that last from run to run: how a run enters one and leaves it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from ccnb.errors import CcnbError, StartError
from ccnb.mode._sandbox_choice import everyone, named
from ccnb.mode._sandbox_folder import LastingFolder
from ccnb.mode._sandbox_lock import alone
from ccnb.mode._sandbox_names import lasting_of
from ccnb.mode._sandbox_program import SandboxProgram
from ccnb.mode.base import Place, Plan
from ccnb.store import FollowerLock, RunFolder

_CLEAN_UP_S = 30.0
"""How long whoever follows the run before may take to come to its end."""
_LOOK_S = 0.05


def enter(plan: Plan, program: SandboxProgram, name: str, make: Callable[[], None]) -> bool:
    """Take a lasting sandbox for the run, making it if it isn't there; return whether it was there.

    Raises
    ------
    EngineError, StartError
    """
    spec, lasting = plan.spec, LastingFolder.of(plan.folder, str(plan.spec.sandbox))
    _take(lasting, plan.folder, program, name)
    try:
        made_with = {
            "workspace": plan.layout.workspace,
            "image": spec.image,
            "memory_mb": spec.memory_mb,
            "cpus": spec.cpus,
        }
        warm = any(sandbox.name == name for sandbox in program.listing())
        if not warm:
            lasting.settle(made_with)
            make()
        elif difference := lasting.difference(made_with):
            raise StartError(
                f"sandbox {spec.sandbox!r} was made with {difference}; name another sandbox, or remove this "
                f"one by `ccnb sandbox rm {spec.sandbox}`"
            )
        else:
            # Its rules can be changed only while it runs; a command starts it.
            program.expect(program.exec(name, ["true"], "/"), "exec")
        lasting.move_in(plan.folder)
    except CcnbError:
        lasting.let_go(plan.folder)
        raise
    return warm


def leave(place: Place, run: RunFolder, program: SandboxProgram) -> None:
    """End all that a run has left in a lasting sandbox, and leave it to others; harmless when it has left.

    Raises
    ------
    EngineError
    """
    lasting = LastingFolder.of(run, place.details["lasting"])
    if lasting.holder == place.run_id:
        program.stop(place.id)
        lasting.move_out(run)
        lasting.let_go(run)


def _take(lasting: LastingFolder, run: RunFolder, program: SandboxProgram, name: str) -> None:
    end = time.monotonic() + _CLEAN_UP_S
    while not lasting.hold(run):
        holder = lasting.holder
        if holder is None:
            continue
        before = RunFolder(run.path.with_name(holder))
        followed, finished = FollowerLock(before).held_elsewhere, _has_finished(before)
        if not followed and (finished or not before.has_begun):
            # Nothing of it goes on. Its files are brought home, where whoever attaches to it finds them.
            with alone(before.path):
                leave(Place(holder, name, {"lasting": lasting.name}), before, program)
        elif finished and time.monotonic() < end:
            time.sleep(_LOOK_S)
        else:
            raise StartError(
                f"run {holder} goes on in sandbox {lasting.name!r}; wait for its end (`ccnb attach "
                f"{holder}`), or name another sandbox"
            )


def _has_finished(run: RunFolder) -> bool:
    descriptor = run.open_inside("steps")
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as file:
        return any(line.startswith(b"finished ") for line in file)


def that_last(store_id: str, home: Path) -> list[Place]:
    """Return a store's lasting sandboxes; the run of each is the one that has it, or empty."""
    found = []
    for program, sandbox in everyone():
        name = lasting_of(sandbox.name, store_id)
        if name is not None:
            holder = LastingFolder(home / "sandboxes" / name).holder or ""
            details = {
                "program": program.name,
                "workspace": (*sandbox.folders, "")[0],
                "folder": str(home / "runs" / holder),
                "lasting": name,
            }
            found.append(Place(holder, sandbox.name, details))
    return found


def forget(place: Place, home: Path) -> None:
    """Remove a lasting sandbox for good, with all that is in it.

    Raises
    ------
    EngineError
    """
    named(place.details["program"]).remove(place.id)
    LastingFolder(home / "sandboxes" / place.details["lasting"]).forget()
