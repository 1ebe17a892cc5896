"""How fast the store becomes frames."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ccnb
from bench.report import Figure
from ccnb.events import Usage
from ccnb.results import CheckResult, FileChange, RunRecord, Timings
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store

RUNS, RUNS_LIMIT_S = 10_000, 1
EVENTS, EVENTS_LIMIT_S = 1_000_000, 5
EVENT_RUNS = 20
_TRIES = 3


def figures() -> Iterator[Figure]:
    """Yield the times for many runs and for many events, the best of some tries."""
    from ccnb import frames

    with tempfile.TemporaryDirectory(prefix="ccnb-bench-") as folder:
        store = Store(Path(folder))
        (Path(folder) / "runs").mkdir()
        results = [ccnb.RunResult.of(add_run(store, number), store.home) for number in range(RUNS)]
        took = _best(lambda: frames.runs_frame(results[:100]), 100)
        yield Figure("runs_frame of 100 results", took * 1000, "ms")
        with _home(folder):
            took = _best(frames.runs_frame, RUNS)
            yield Figure.below(f"runs_frame of {RUNS:,} runs in the store", took, "s", RUNS_LIMIT_S)
            took = _best(lambda: frames.runs_frame(mode="podman", limit=100), 100)
            yield Figure("runs_frame of 100 runs out of those", took * 1000, "ms")
        some = results[:EVENT_RUNS]
        for result in some:
            add_events(store, result.run_id, EVENTS // EVENT_RUNS)
        took = _best(lambda: frames.events_frame(some), EVENTS)
        detail = f"{EVENT_RUNS} runs; {EVENTS / took:,.0f} events/s"
        yield Figure.below(f"events_frame of {EVENTS:,} events", took, "s", EVENTS_LIMIT_S, detail)
        took = _best(lambda: frames.tools_frame(some), EVENTS // 4)
        yield Figure(f"tools_frame of {EVENTS // 4:,} calls", took, "s")


def _best(make: object, rows: int) -> float:
    took = []
    for _ in range(_TRIES):
        begun = time.perf_counter()
        frame = make()  # type: ignore[operator]
        took.append(time.perf_counter() - begun)
        assert len(frame) == rows, (len(frame), rows)
    return min(took)


def add_run(store: Store, number: int) -> RunRecord:
    """Put a finished run into a store."""
    spec = RunSpec(prompt=f"Do the task {number}. " * 20, mode=("docker", "podman")[number % 2])
    record = RunRecord(
        run_id=f"r{number:06d}",
        mode=spec.mode,
        spec=spec,
        outcome="success",
        started_at=datetime.fromtimestamp(1_800_000_000 + number, UTC),
        text="It is done. " * 50,
        usage=Usage(1000, 200, 30, 4000),
        timings=Timings(*(0.1 * n for n in range(11))),
        files=tuple(FileChange(f"file{n}.py", "changed", 1000) for n in range(5)),
        check=CheckResult("pytest -q", 0, "5 passed"),
        session_id=f"session-{number}",
        conditions={"model": "claude-opus-5-5", "agent_version": "2.1.330", "concurrency": 1},
    )
    store.add_run(record.run_id, spec, Progress(marks={"begin": record.started_at.timestamp()}))
    store.finish(record, Progress(marks={"begin": record.started_at.timestamp()}))
    return record


def add_events(store: Store, run_id: str, count: int) -> None:
    """Put events of the usual kinds into a run."""
    use = {"type": "tool_use", "id": "", "name": "Bash", "input": {"command": "make test"}}
    answer = {"type": "tool_result", "tool_use_id": "", "content": "ok " * 30}
    begun = 1_800_000_000.0
    kinds = [
        {"type": "assistant", "message": {"id": "m", "content": [use]}},
        {"type": "user", "message": {"content": [answer]}},
        {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "Good. " * 20}]}},
        {"type": "system", "subtype": "status", "session_id": "s" * 36},
    ]
    events = []
    for number in range(count):
        use["id"] = answer["tool_use_id"] = f"toolu_{number // 4}"
        raw = json.loads(json.dumps(kinds[number % 4]))
        at = datetime.fromtimestamp(begun + number / 100, UTC)
        event = ccnb.Event(raw["type"], raw.get("subtype"), at, 300 * number, raw)
        events.append((event, json.dumps(raw)))
    store.append(run_id, events, 300 * count, b"")


@dataclasses.dataclass
class _home:  # noqa: N801 - reads as a word of the block
    """The store that frames are made from, for a block."""

    folder: str

    def __enter__(self) -> None:
        import os

        self.before = os.environ["CCNB_HOME"]
        os.environ["CCNB_HOME"] = self.folder

    def __exit__(self, *args: object) -> None:
        import os

        os.environ["CCNB_HOME"] = self.before
