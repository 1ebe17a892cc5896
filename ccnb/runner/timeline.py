"""Timings from the marks of a run: each phase begins where the one before ended."""

from __future__ import annotations

from collections.abc import Mapping

from ccnb.results import PHASES, Timings
from ccnb.stream import Tally


def timings(marks: Mapping[str, float], tally: Tally, cleanup_s: float | None = None) -> Timings:
    """Return the seconds by phase.

    Parameters
    ----------
    marks
        Unix seconds at which each phase ended, by the phase's name without its unit; `begin` is the
        call. A phase without a mark took no time. A mark that lies before an earlier one (the clocks of
        a place and of this machine differ) is moved up to it, so that the sum is the wall time.
    """
    seconds: dict[str, float] = {}
    last = marks["begin"]
    for phase in PHASES:
        mark = max(last, marks.get(phase.removesuffix("_s"), last))
        seconds[phase] = mark - last
        last = mark
    agent_s = seconds["agent_s"]
    tools_s = min(tally.tools_s, agent_s)
    return Timings(**seconds, cleanup_s=cleanup_s, tools_s=tools_s, model_s=agent_s - tools_s)
