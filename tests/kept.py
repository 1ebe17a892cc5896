"""Runs that lie in a store without having been run: for what only reads the store."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ccnb.events import Event, Usage
from ccnb.results import CheckResult, FileChange, RunRecord, Timings
from ccnb.runner.handles import RunResult
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store

BEGAN = 1_800_000_000.0


def keep_run(
    store: Store, run_id: str, *, events=(), finished=True, prompt="Do it.", calls=(), **more
) -> RunResult:
    """Put a run into a store: its record, its events given as `(seconds since its start, message)`."""
    mode = more.pop("mode", "docker")
    spec = RunSpec(prompt=prompt, mode=mode, check=more.pop("check_command", None))
    began = more.pop("began", BEGAN)
    record = RunRecord(
        run_id=run_id,
        mode=mode,
        spec=spec,
        started_at=datetime.fromtimestamp(began, UTC),
        **DEFAULTS | more,
    )
    progress = Progress(marks={"begin": began})
    store.folder(run_id).make()
    store.add_run(run_id, spec, progress)
    rows = []
    for number, (since_s, raw) in enumerate(events):
        at = datetime.fromtimestamp(began + since_s, UTC)
        rows.append((Event(raw["type"], raw.get("subtype"), at, 100 * number, raw), json.dumps(raw)))
    if rows:
        store.append(run_id, rows, 100 * len(rows), b"")
    if finished:
        store.finish(record, progress, calls)
    return RunResult.of(record, store.home)


DEFAULTS = {
    "outcome": "success",
    "text": "It is **done**.",
    "usage": Usage(1000, 200, 30, 4000),
    "timings": Timings(
        image_s=0.1,
        create_s=0.2,
        start_s=0.3,
        first_event_s=0.5,
        agent_s=4.0,
        check_s=0.4,
        collect_s=0.5,
        cleanup_s=0.2,
        model_s=3.0,
        tools_s=1.0,
    ),
    "files": (FileChange("a.py", "made", 10), FileChange(".envrc", "changed", 20, runs_by_itself=True)),
    "check": CheckResult("pytest -q", 0, "5 passed"),
    "exit_code": 0,
    "session_id": "11111111-2222-3333-4444-555555555555",
    "num_turns": 3,
    "total_cost_usd": 0.0123,
    "conditions": {"model": "claude-opus-5-5", "agent_version": "2.1.330", "concurrency": 1},
}


def use(tool_id: str, name: str = "Bash", **given) -> dict:
    """Return a message that calls a tool."""
    block = {"type": "tool_use", "id": tool_id, "name": name, "input": given}
    return {"type": "assistant", "message": {"id": f"m-{tool_id}", "content": [block]}}


def answer(tool_id: str, text: str = "ok", *, failed: bool = False) -> dict:
    """Return the message with a tool's result."""
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": text, "is_error": failed}
    return {"type": "user", "message": {"content": [block]}}


def words(text: str) -> dict:
    """Return a message in which the agent says something."""
    return {"type": "assistant", "message": {"id": "m-words", "content": [{"type": "text", "text": text}]}}
