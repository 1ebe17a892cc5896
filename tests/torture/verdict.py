"""What must hold after any harm: attach, as a person would, and say what doesn't."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import ccnb
from ccnb.results import PHASES
from tests.torture import leaks
from tests.torture.faults import Fault
from tests.torture.scene import Scene
from tests.waiting import came_to_pass

_REMOVAL_S = 60


def verdict(scene: Scene, fault: Fault) -> list[str]:
    """Return what does not hold after a fault."""
    complaints = [*scene.complaints]
    try:
        result = ccnb.attach(scene.run_id).result()
    except ccnb.CcnbError as error:
        return [*complaints, f"attach failed: {type(error).__name__}: {error}"]
    scene.outcome = result.outcome
    scene.said.append(f"{result} {result.to_dict()} {result.patch}")
    if result.outcome not in fault.outcomes:
        complaints.append(f"outcome {result.outcome} ({result.error})")
    complaints += _of_events(result, fault, scene.task.sayings)
    complaints += _of_timings(result)
    if result.outcome == "success" and not (result.check and result.check.passed):
        complaints.append(f"the check did not pass: {result.check}")
    complaints += _of_places(scene)
    complaints += leaks.at_rest(scene)
    complaints += _of_store(scene)
    return complaints


def _of_events(result: ccnb.RunResult, fault: Fault, sayings: int) -> Iterator[str]:
    """Hold the events against what the agent should have said, and against what it did write."""
    offsets = [event.offset for event in result.events]
    if offsets != sorted(set(offsets)):
        yield "events are not each there once and in order"
    output = result.folder.inside / "out"
    # From far away it comes back only where the place was still there.
    written = list(_lines(output)) if output.exists() else offsets
    if offsets != written[: len(offsets)] or (result.outcome == "success" and len(offsets) < len(written)):
        yield f"{len(offsets)} events of {len(written)} lines: {set(offsets) ^ set(written)}"
    said = [event.text for event in result.events if event.type == "assistant" and event.text]
    if fault.needs_line:
        # An agent whose answer broke off says so, asks again, and says it again.
        said = [text for text, _ in itertools.groupby(said) if not text.startswith("API Error: ")]
    texts = [text for text in said if text.isdigit()]
    if set(said) - set(texts) - {"mine is [redacted]"}:
        yield f"events that nobody made: {said}"
    if fault.loses:
        if texts != sorted(set(texts), key=int):
            yield f"events are not in order: {texts}"
        return
    if texts != [str(number) for number in range(len(texts))]:
        yield f"events are missing: {texts}"
    if result.outcome == "success" and len(texts) != sayings:
        yield f"{len(texts)} of {sayings} events"


def _lines(output: Path) -> Iterator[int]:
    """Yield where each line begins in what the agent wrote; the last one may be cut off by a full disk."""
    offset = 0
    for line in output.read_bytes().split(b"\n"):
        if line.strip():
            yield offset
        offset += len(line) + 1


def _of_timings(result: ccnb.RunResult) -> Iterator[str]:
    phases = {name: getattr(result.timings, name) for name in PHASES}
    if any(value < 0 for value in phases.values()):
        yield f"a phase is negative: {phases}"
    if abs(sum(phases.values()) - result.timings.wall_s) > 0.001:
        yield f"the phases don't add up to {result.timings.wall_s}: {phases}"


def _of_places(scene: Scene) -> Iterator[str]:
    def left() -> list[object]:
        return [*scene.places(), *(name for name in scene.task.left() if name not in scene.left_before)]

    if not came_to_pass(lambda: not left(), _REMOVAL_S):
        yield f"left behind: {left()}"
    if not came_to_pass(lambda: not list(scene.processes()), _REMOVAL_S):
        yield f"left running: {list(scene.processes())}"


def _of_store(scene: Scene) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(scene.home / "ccnb.sqlite3")) as db:
        (whole,) = db.execute("PRAGMA integrity_check").fetchone()
    if whole != "ok":
        yield f"the store is damaged: {whole}"
