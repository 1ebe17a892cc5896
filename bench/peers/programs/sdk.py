"""claude-agent-sdk as a client: `query`, with the agent a process of this machine."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import wire
from claude_agent_sdk import AssistantMessage, ClaudeAgentOptions, ResultMessage, SystemMessage, query


def task(prompt: str, **options: Any) -> dict[str, float]:
    """Return when the first message, the result and the end came, in seconds."""
    taken: dict[str, float] = {}

    async def one() -> None:
        async for message in _messages(prompt, options):
            at = time.perf_counter() - begun
            taken.setdefault("first_s", at)
            if isinstance(message, ResultMessage):
                taken["result_s"] = at
                if message.is_error:
                    raise RuntimeError(f"the agent failed: {message.result}")

    begun = time.perf_counter()
    asyncio.run(one())
    taken["returned_s"] = time.perf_counter() - begun
    return taken


def ticks(prompt: str, **options: Any) -> dict[str, Any]:
    """Return for each event that says when it was written how long it took to here."""
    delays = []

    async def one() -> None:
        async for message in _messages(prompt, options):
            if isinstance(message, SystemMessage) and message.subtype == "tick":
                delays.append((time.time() - message.data["t"]) * 1000)  # noqa: PERF401 - the time is now

    asyncio.run(one())
    return {"delays_ms": delays}


def many(runs: int, events: int, prompt: str, **options: Any) -> dict[str, float]:
    """Return the time until so many queries, begun at once, have ended."""

    async def one() -> int:
        return len([message async for message in _messages(prompt, options)])

    async def all_of() -> list[int]:
        return await asyncio.gather(*(one() for _ in range(runs)))

    begun = time.perf_counter()
    counts = asyncio.run(all_of())
    took_s = time.perf_counter() - begun
    if counts != [events] * runs:
        raise ValueError(f"{counts} messages came, not {events} each")
    return {"took_s": took_s}


def flood(lines: int, prompt: str, **options: Any) -> dict[str, float]:
    """Return how fast messages came, and the peak of the memory."""
    seen = {"count": 0, "first": 0.0, "last": 0.0}

    async def one() -> None:
        async for message in _messages(prompt, options):
            if isinstance(message, AssistantMessage):
                seen["count"] += 1
                seen["last"] = time.perf_counter()
                seen["first"] = seen["first"] or seen["last"]

    wire.forget_peak()
    asyncio.run(one())
    if seen["count"] != lines:
        raise ValueError(f"{seen['count']} lines came, not {lines}")
    return {"lines_per_s": (lines - 1) / (seen["last"] - seen["first"]), "peak_mb": wire.peak_mb()}


async def _messages(prompt: str, options: dict[str, Any]) -> AsyncIterator[Any]:
    with tempfile.TemporaryDirectory(prefix="sdk-", ignore_cleanup_errors=True) as workspace:
        async for message in query(prompt=prompt, options=ClaudeAgentOptions(cwd=workspace, **options)):
            yield message


if __name__ == "__main__":
    wire.serve(task, ticks, many, flood)
