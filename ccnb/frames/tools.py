"""Calls of tools, each with the result that answers it."""

from __future__ import annotations

from typing import Any

from ccnb.render import one_line, tool_summary
from ccnb.store import Store
from ccnb.store.tables import tool_events

_INPUT = 120


def tool_rows(store: Store, run_id: str, began: float) -> list[dict[str, Any]]:
    """Return a row for each call of a tool in a run, in the order of the calls."""
    calls: dict[str, dict[str, Any]] = {}
    for event in tool_events(store, run_id):
        at = event.at.timestamp()
        for use in event.tool_uses:
            calls[use.id] = {
                "tool_use_id": use.id,
                "tool_name": use.name,
                "input": one_line(tool_summary(use), _INPUT),
                "started_at": at,
                "since_s": at - began,
                "parent_tool_use_id": event.parent_tool_use_id,
            }
        for result in event.tool_results:
            if (call := calls.get(result.tool_use_id)) is not None:
                call |= {
                    "duration_s": max(0.0, at - call["started_at"]),
                    "is_error": result.is_error,
                    "result_chars": len(result.text),
                }
    return list(calls.values())
