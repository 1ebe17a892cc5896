"""Timings from the marks of a run: each phase begins where the one before ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccnb.results import PHASES, Timings
from ccnb.stream import Tally


def timings(marks: Mapping[str, float], tally: Tally, calls: Sequence[Mapping[str, Any]] = ()) -> Timings:
    """Return the seconds by phase.

    Parameters
    ----------
    marks
        Unix seconds at which each phase ended, by the phase's name without its unit; `begin` is the
        call. A phase without a mark took no time. A mark that lies before an earlier one (the clocks of
        a place and of this machine differ) is moved up to it, so that the sum is the wall time.
    tally
        What the events say.
    calls
        The model calls where the gateway measured them.
    """
    seconds: dict[str, float] = {}
    last = marks["begin"]
    for phase in PHASES:
        mark = max(last, marks.get(phase.removesuffix("_s"), last))
        seconds[phase] = mark - last
        last = mark
    agent_s = seconds["agent_s"]
    tools_s = min(tally.tools_s, agent_s)
    model_s = min(busy_s(calls), agent_s) if calls else agent_s - tools_s
    return Timings(**seconds, tools_s=tools_s, model_s=model_s)


def busy_s(calls: Sequence[Mapping[str, Any]]) -> float:
    """Return how long at least one of the calls was under way; several at once count once."""
    total, busy_until = 0.0, float("-inf")
    for begun, took_s in sorted((call["at"].timestamp(), call["duration_s"] or 0.0) for call in calls):
        total += max(0.0, begun + took_s - max(begun, busy_until))
        busy_until = max(busy_until, begun + took_s)
    return total
