"""Each arm in numbers, and the whole comparison in one paragraph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ccnb import stats
from ccnb.comparison.contrast import Contrast, counted, shown
from ccnb.frames.compared import Frame, table
from ccnb.render import Cell, Grid, count, duration, money, number
from ccnb.results import PHASES

_TIMES = ("wall_s", *PHASES, "model_s", "tools_s")
"""Of each the median and its interval."""
_MEDIANS = ("total_cost_usd", "num_turns", "input_tokens", "output_tokens")
_MOST_SENTENCES = 8
_NO_COMMAND = (126, 127)
"""What a POSIX shell ends with where a command can't be run, or isn't found."""


def summary(frame: Frame, arms: Sequence[str], axes: Sequence[str]) -> Frame:
    """Return one row for each arm.

    `n` runs that count and `apart` rows that don't (infrastructure, not run yet); `passed` and its rate with
    the Wilson interval; of the runs that ended in success the medians of the wall time and of its phases,
    each with its interval (`agent_s`, `agent_s_low`, ...), and those of the cost and the tokens.
    """
    by_arm = dict(list(frame[~frame["warmup"]].groupby("arm", sort=False)))
    return table(_row(arm, by_arm[arm], axes) for arm in arms if arm in by_arm)


def grid(summed: Frame) -> Grid:
    """Return the summary as a table to look at."""
    headings = ("arm", "n", "apart", "passed", "rate", "wall time", "agent", "cost", "tokens out")
    rows: list[list[str | Cell]] = [
        [
            str(row["arm"]),
            str(row["n"]),
            str(row["apart"]) if row["apart"] else "",
            str(row["passed"]),
            _percent(row),
            _with_interval(row),
            _or_dash(row["agent_s"], duration),
            _or_dash(row["total_cost_usd"], money),
            _or_dash(row["output_tokens"], lambda tokens: count(round(tokens))),
        ]
        for row in summed.to_dict("records")
    ]
    return Grid(headings, rows, right=frozenset({1, 2, 3, 6, 7, 8}), optional=(8, 6))


def sentences(
    frame: Frame,
    summed: Frame,
    contrasts: Sequence[Contrast],
    *,
    seed: int,
    pace: str,
    stopped: str,
    added: str = "",
) -> list[str]:
    """Return what the numbers say, and nothing that they don't."""
    rows = frame[~frame["warmup"]]
    done = int(rows["counted"].sum())
    blocks = _many(int(rows["block"].max()), "shuffled block")
    arms = _many(len(summed), "arm")
    said = [f"{done} of {len(rows)} runs count, of {arms} in {blocks} (seed {seed}), {pace}."]
    said += [f"{added}."] if added else []
    said += [f"Rows were left out: {stopped}."] if stopped else []
    failed = int((~rows["counted"] & rows["outcome"].notna()).sum())
    said += [f"{_many(failed, 'row')} failed for reasons that were not the agent's."] if failed else []
    said += [_rate(summed)] if done else []
    found = [one for one in contrasts if one.is_found]
    if summed["passed"].sum() == done:
        # That all have passed is said already; in the family they stay.
        contrasts = [one for one in contrasts if one.metric != "passed"]
    told = contrasts if len(contrasts) <= _MOST_SENTENCES else found
    said += [f"{one}." for one in told[:_MOST_SENTENCES]]
    if len(contrasts) > _MOST_SENTENCES:
        said.append(f"Of {len(contrasts)} contrasts, {len(found)} give evidence of a difference.")
    return said + _remarks(rows)


def _row(arm: str, rows: Frame, axes: Sequence[str]) -> dict[str, Any]:
    counts = rows[rows["counted"].astype(bool)]
    passed = int(counts["passed"].sum())
    rate = stats.rate(passed, len(counts))
    good = counted(rows, "wall_s")
    first = rows.iloc[0]
    return {
        "arm": arm,
        **{axis: first[axis] for axis in axes},
        "n": len(counts),
        "apart": len(rows) - len(counts),
        "passed": passed,
        "pass_rate": rate.estimate,
        "pass_rate_low": rate.low,
        "pass_rate_high": rate.high,
        **{key: value for name in _TIMES for key, value in _median(good, name).items()},
        **{name: float(good[name].astype(float).median()) for name in _MEDIANS},
        "sum_cost_usd": float(rows["total_cost_usd"].sum()),
    }


def _median(rows: Frame, name: str) -> dict[str, float]:
    found = stats.median(rows[name].to_numpy(dtype=float))
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _rate(summed: Frame) -> str:
    passed, n = int(summed["passed"].sum()), int(summed["n"].sum())
    return "All of these passed." if passed == n else f"{passed} of {n} passed."


def _remarks(rows: Frame) -> list[str]:
    """Return what a reader should know before believing the rates and the times."""
    return [*_other_agents(rows), *_checks_that_did_not_run(rows)]


def _other_agents(rows: Frame) -> list[str]:
    versions = sorted(rows["agent_version"].dropna().unique())
    if len(versions) > 1:
        return [f"The agent was not the same in all of them: versions {', '.join(map(str, versions))}."]
    return []


def _checks_that_did_not_run(rows: Frame) -> list[str]:
    """Tell of checks that ended as a shell does whose command isn't there: no verdict on the agent."""
    found = rows[rows["counted"].astype(bool) & rows["check_exit_code"].isin(_NO_COMMAND)]
    if found.empty:
        return []
    runs, first = _many(len(found), "run"), found["number"].iloc[0]
    codes = " or ".join(str(code) for code in sorted(found["check_exit_code"].unique()))
    arms = ", ".join(dict.fromkeys(map(str, found["arm"])))
    why = "the shell found no such command, or could not run it, which says nothing of the agent's work"
    mend = f"see .result({first}).check.output, and mend the check or what is there to run it"
    return [f"In {runs} ({arms}) the check ended with {codes}: {why}; {mend}."]


def _percent(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "-"
    low, high = 100 * row["pass_rate_low"], 100 * row["pass_rate_high"]
    return f"{100 * row['pass_rate']:.0f} % ({low:.0f} to {high:.0f})"


def _with_interval(row: dict[str, Any]) -> str:
    if math.isnan(row["wall_s"]):
        return "-"
    middle = shown("wall_s", row["wall_s"])
    if math.isnan(row["wall_s_low"]):
        return middle
    show = number if row["wall_s_high"] < 60 else duration
    return f"{middle} ({show(row['wall_s_low'])} to {show(row['wall_s_high'])})"


def _or_dash(value: float, show: Any) -> str:
    return "-" if math.isnan(value) else str(show(value))


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
