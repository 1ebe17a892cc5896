"""Look at what is kept, and remove it: what `runs`, `show`, `shell` and `sweep` do."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from rich.text import Text

from ccnb import _loop, render
from ccnb import mode as modes
from ccnb.cli.output import console, exit_code, print_json, result_json, say
from ccnb.errors import CcnbError, ModeUnavailableError, RunBusyError, SpecError
from ccnb.gateway import network_log
from ccnb.mode.base import Place
from ccnb.render import ListedRun
from ccnb.runner import api
from ccnb.runner.lists import listed
from ccnb.runner.sweep import sweep as sweep_places
from ccnb.runner.values import seconds
from ccnb.store import FollowerLock, RunRow, Store


def list_runs(limit: int, *, as_json: bool) -> int:
    """Print the runs, the latest first."""
    found = [listed(row) for row in Store().runs(limit=limit)]
    if as_json:
        print_json([_listed_json(run) for run in found])
    elif not found:
        say("no runs yet; `ccnb demo` makes some, without an account")
    else:
        console().print(render.runs_table(found))
    return 0


def remove_runs(run_ids: Sequence[str], older_than: str | None, *, all_finished: bool, force: bool) -> int:
    """Remove runs with their events, files and places; unfinished ones only when forced."""
    store = Store()
    rows = _chosen(store, run_ids, older_than, all_finished=all_finished)
    if not force:
        unfinished = [row.run_id for row in rows if row.record is None]
        if unfinished and run_ids:
            raise SpecError(f"run {unfinished[0]} isn't finished; attach to it, or remove it with --force")
        rows = [row for row in rows if row.record is not None]
    freed = sum(_remove(store, row) for row in rows)
    say(f"{len(rows)} run{'' if len(rows) == 1 else 's'} removed, {render.size(freed)} freed")
    return 0


def show(run_id: str, *, events: bool, patch: bool, files: bool, network: bool, as_json: bool) -> int:
    """Print a run: its summary and conversation, or the part of it that was asked for."""
    row = Store().run(run_id)
    if events:
        for event in Store().events(row.run_id):
            sys.stdout.write(json.dumps(event.raw) + "\n")
        return 0
    if network:
        return _show_network(row, as_json=as_json)
    if row.record is None:
        return _show_unfinished(row, as_json=as_json)
    result = api.result_of(row)
    if patch:
        _print_patch(result.folder.patch)
    elif as_json:
        print_json(result_json(result))
    elif files:
        console().print(render.files_table(result.files))
    else:
        out = console()
        _print_conversation(row)
        out.print(render.summary(result, kept_in=str(result.folder.path), answer=False))
        out.print(render.phase_bar(result.timings))
    return 0


def _show_network(row: RunRow, *, as_json: bool) -> int:
    """Print what a run's list of hosts allowed and refused; so far, of one that goes on."""
    connections = network_log.read(row.folder.path)
    if as_json:
        print_json([asdict(one) | {"at": one.at.isoformat()} for one in connections])
    elif connections:
        console().print(render.network_table(connections))
    else:
        say("nothing was asked for" if row.spec.hosts else "this run has no list of hosts")
    return 0


def shell(run_id: str) -> NoReturn:
    """Open a shell in a run's place; this process becomes it, so that Ctrl-C is the shell's own."""
    store = Store()
    row = store.run(run_id)
    stored = store.place(row.run_id)
    if stored is None:
        raise CcnbError(f"run {row.run_id} has no place any more; run it again with --keep")
    argv = modes.get(row.mode).shell(Place.from_dict(stored))
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell wanted: the argv is the mode's
    except FileNotFoundError:
        raise ModeUnavailableError(f"{argv[0]} isn't on PATH, and a shell needs it; install it") from None


def sweep(older_than: str | None, *, as_json: bool) -> int:
    """Remove the places that no run needs any more; say what became of each."""
    found = sweep_places(seconds(older_than, "--older-than") if older_than else None)
    if as_json:
        print_json([asdict(one) for one in found])
        return 0
    for one in found:
        word = "removed" if one.removed else "left alone"
        line = f"{word}: the place of run {one.run_id} in {one.mode} ({one.why})"
        say(line)
    if not found:
        say("nothing was left behind")
    return 0


def _chosen(
    store: Store, run_ids: Sequence[str], older_than: str | None, *, all_finished: bool
) -> list[RunRow]:
    if sum((bool(run_ids), older_than is not None, all_finished)) != 1:
        raise SpecError("name runs, or give one of --older-than and --all-finished")
    if run_ids:
        return [store.run(run_id) for run_id in dict.fromkeys(run_ids)]
    if older_than is not None:
        return store.runs(before=time.time() - seconds(older_than, "--older-than"))
    return store.runs(state="done")


def _remove(store: Store, row: RunRow) -> int:
    """Remove a run and return the bytes that its folder had."""
    if row.record is None:
        _end(row)
    stored = store.place(row.run_id)
    if stored is not None:
        _loop.run(modes.get(row.mode).destroy(Place.from_dict(stored)))
    freed = row.folder.size_bytes
    store.remove(row.run_id)
    return freed


def _end(row: RunRow) -> None:
    """End an unfinished run that nobody follows, so that nothing of it is left."""
    if FollowerLock(row.folder).held_elsewhere:
        raise RunBusyError(f"run {row.run_id} is followed by another process; press Ctrl-C there first")
    row.folder.make()
    handle = api.attach(row.run_id)
    handle.cancel()
    try:
        handle.result()
    except CcnbError as error:
        say(f"run {row.run_id}: {error.message}", stderr=True)


def _show_unfinished(row: RunRow, *, as_json: bool) -> int:
    if as_json:
        print_json(_listed_json(listed(row)))
        return 0
    _print_conversation(row)
    say(f"run {row.run_id} is {row.state}; follow it with `ccnb attach {row.run_id}`")
    return 0


def _print_conversation(row: RunRow) -> None:
    out = console()
    out.print(Text(render.harmless(row.spec.prompt), "bold"), soft_wrap=True)
    folder = ""
    for event in Store().events(row.run_id):
        if event.subtype == "init":
            folder = str(event.raw.get("cwd") or "")
        for line in render.event_lines(event, folder=folder, whole=True):
            out.print(line, soft_wrap=True)


def _print_patch(file: Path) -> None:
    """Print the patch as it is, so that it can be applied; harmless, where a terminal shows it."""
    if not file.exists():
        return
    if sys.stdout.isatty():
        sys.stdout.write(render.harmless(file.read_text(errors="replace")))
        return
    with file.open("rb") as source:
        while block := source.read(1 << 20):
            sys.stdout.buffer.write(block)


def _listed_json(run: ListedRun) -> dict[str, Any]:
    record = run.record
    return {
        "run_id": run.run_id,
        "mode": run.mode,
        "state": run.state,
        "started_at": run.started_at.isoformat(),
        "prompt": run.prompt,
        "size_bytes": run.size_bytes,
        "outcome": record.outcome if record else None,
        "check_passed": record.check.passed if record and record.check else None,
        "wall_s": record.timings.wall_s if record else None,
        "total_cost_usd": record.total_cost_usd if record else None,
        "machine_usd": record.machine_usd if record else None,
        "exit_code": exit_code(record) if record else None,
    }
