"""Inspect as a client: frames from a log of its own, which its scripted model has made."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import inspect_ai
import wire
from inspect_ai.analysis import events_df, samples_df
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import basic_agent
from inspect_ai.tool import Tool, tool

_logs = tempfile.TemporaryDirectory(prefix="inspect-", ignore_cleanup_errors=True)


@tool
def look() -> Tool:
    """Give the agent something to use."""

    async def execute(what: str) -> str:
        """Look at a thing.

        Args:
            what: The thing.
        """
        return f"{what}: " + "ok " * 30

    return execute


def log(samples: int) -> dict[str, int]:
    """Make the log; return how many events there are in it."""
    answers = []
    for number in range(samples):
        answers += [
            ModelOutput.for_tool_call("mockllm/model", "look", {"what": f"{number}.{turn}"})
            for turn in range(4)
        ]
        answers.append(ModelOutput.for_tool_call("mockllm/model", "submit", {"answer": "It is done."}))
    task = inspect_ai.Task(
        dataset=[Sample(input="Do the task. " * 20, target="done", id=number) for number in range(samples)],
        solver=basic_agent(tools=[look()]),
    )
    for one in answers:
        # Without it the peer counts the tokens itself, and fetches a table for that.
        one.usage = ModelUsage(input_tokens=1000, output_tokens=30, total_tokens=1030)
    model = get_model("mockllm/model", custom_outputs=answers)
    (made,) = inspect_ai.eval(task, model=model, log_dir=_logs.name, display="none", max_samples=1)
    if made.status != "success":
        raise RuntimeError(f"the log could not be made: {made.error and made.error.message}")
    return {"events": len(events_df(_logs.name, quiet=True))}


def frames(samples: int) -> dict[str, Any]:
    """Return how long frames of the samples and of their events took."""
    begun = time.perf_counter()
    samples_frame = samples_df(_logs.name, quiet=True)
    between = time.perf_counter()
    events_frame = events_df(_logs.name, quiet=True)
    done = time.perf_counter()
    if len(samples_frame) != samples:
        raise ValueError(f"the frame has {len(samples_frame)} rows")
    return {
        "runs_ms": (between - begun) * 1000,
        "events_ms": (done - between) * 1000,
        "columns": [len(samples_frame.columns), len(events_frame.columns)],
    }


if __name__ == "__main__":
    wire.serve(log, frames)
