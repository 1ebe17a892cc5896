"""The columns of each frame: name, dtype, unit and meaning, said once. docs/frames.md is made of this."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ccnb.results import OUTCOMES, PHASES, STATES

TEXT, NUMBER, COUNT, FLAG, TIME = "string", "float64", "Int64", "boolean", "datetime64[us, UTC]"
"""Dtypes that all take a missing value, and are the same for no row and for many."""

PARTS = (
    *(p.removesuffix("_s") for p in PHASES[: PHASES.index("agent_s")]),
    "model",
    "tools",
    *(p.removesuffix("_s") for p in PHASES[PHASES.index("agent_s") + 1 :]),
    "cleanup",
)
"""The phases of `phases_frame`: the agent's is told apart into the model's time and the tools'."""

CATEGORIES = {"outcome": OUTCOMES, "state": STATES, "phase": PARTS}
"""Columns of dtype `category`: their words, in order."""


@dataclass(frozen=True)
class Column:
    """One column of a frame."""

    name: str
    dtype: str
    meaning: str
    unit: str = ""


_RUN_ID = Column("run_id", TEXT, "the run")
_MODE = Column("mode", TEXT, "where it ran")
_SINCE = Column("since_s", NUMBER, "from the run's start", "s")

_TIMINGS = (
    Column("wall_s", NUMBER, "from the call until the result was in hand", "s"),
    Column("image_s", NUMBER, "find, pull or build the image", "s"),
    Column("create_s", NUMBER, "make the place", "s"),
    Column("start_s", NUMBER, "until the supervisor ran", "s"),
    Column("setup_s", NUMBER, "the set-up command", "s"),
    Column("first_event_s", NUMBER, "from the agent's start to its first event", "s"),
    Column("agent_s", NUMBER, "from the first event to the agent's end", "s"),
    Column("check_s", NUMBER, "the check command", "s"),
    Column("collect_s", NUMBER, "from the end in the place until the result was in hand", "s"),
    Column("cleanup_s", NUMBER, "removal of the place, behind the result", "s"),
    Column("model_s", NUMBER, "of `agent_s`: waiting for the model", "s"),
    Column("tools_s", NUMBER, "of `agent_s`: tools at work", "s"),
)

_USAGE = (
    Column("input_tokens", COUNT, "read by the model, not from the cache", "tokens"),
    Column("output_tokens", COUNT, "written by the model", "tokens"),
    Column("cache_creation_input_tokens", COUNT, "written to the cache", "tokens"),
    Column("cache_read_input_tokens", COUNT, "read from the cache", "tokens"),
    Column("total_cost_usd", NUMBER, "the agent's own estimate by list prices", "USD"),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "runs": (
        _RUN_ID,
        _MODE,
        Column("model", TEXT, "the model that answered, else the one that was asked for"),
        Column("api", TEXT, "where the answers came from: `live`, `script:demo`, ..."),
        Column("state", "category", "how far it is"),
        Column("outcome", "category", "how it ended; missing while it goes on"),
        Column("check_passed", FLAG, "the check's verdict; missing without a check"),
        Column("error_kind", TEXT, "why it ended badly, in a word"),
        Column("started_at", TIME, "the call"),
        *_TIMINGS,
        Column("num_turns", COUNT, "turns of the agent", "turns"),
        *_USAGE,
        Column("num_files", COUNT, "files made, changed or removed", "files"),
        Column("exit_code", COUNT, "the agent's exit code"),
        Column("agent_version", TEXT, "the `claude` that ran"),
        Column("concurrency", COUNT, "runs that its process followed at once", "runs"),
        Column("session_id", TEXT, "Claude's session"),
        Column("fingerprint", TEXT, "the same for runs of the same spec"),
        Column("prompt", TEXT, "its first 80 characters, on one line"),
    ),
    "events": (
        _RUN_ID,
        Column("offset", COUNT, "where its line begins in the output", "bytes"),
        Column("at", TIME, "the agent's time of it, else its arrival"),
        Column("arrived_at", TIME, "when it reached us"),
        _SINCE,
        Column("type", TEXT, "Claude's own word: `system`, `assistant`, `user`, `result`, ..."),
        Column("subtype", TEXT, "Claude's own word"),
        Column("message_id", TEXT, "the API message that it is a part of"),
        Column("parent_tool_use_id", TEXT, "the call of a tool that its sub-agent serves"),
        Column("tool_use_id", TEXT, "the first call of a tool in it, or the one it answers"),
        Column("tool_name", TEXT, "the tool of that call"),
        Column("is_error", FLAG, "of a result: whether it is a failure"),
        Column("size_bytes", COUNT, "the message's length", "bytes"),
    ),
    "tools": (
        _RUN_ID,
        _MODE,
        Column("tool_use_id", TEXT, "the call"),
        Column("tool_name", TEXT, "the tool"),
        Column("input", TEXT, "the most telling part of its input, 120 characters of it at most"),
        Column("started_at", TIME, "when the agent called it"),
        _SINCE,
        Column("duration_s", NUMBER, "until its result was there; missing without one", "s"),
        Column("is_error", FLAG, "whether it failed; missing without a result"),
        Column("result_chars", COUNT, "the length of its result", "characters"),
        Column("parent_tool_use_id", TEXT, "the call of a tool whose sub-agent made it"),
    ),
    "calls": (
        _RUN_ID,
        _MODE,
        Column("at", TIME, "when it began"),
        _SINCE,
        Column("model", TEXT, "the model that was asked"),
        Column("status", COUNT, "the answer's HTTP status"),
        Column("retries", COUNT, "how often in a row the same request had failed before"),
        Column("first_byte_s", NUMBER, "until the answer's first byte", "s"),
        Column("duration_s", NUMBER, "until its last", "s"),
        Column("input_tokens", COUNT, "as the answer says", "tokens"),
        Column("output_tokens", COUNT, "as the answer says", "tokens"),
        Column("cache_creation_input_tokens", COUNT, "as the answer says", "tokens"),
        Column("cache_read_input_tokens", COUNT, "as the answer says", "tokens"),
        Column("cost_usd", NUMBER, "by list prices; missing for a model without one", "USD"),
        Column("end", TEXT, "how the answer ended: `complete`, `cut`, ..."),
    ),
    "files": (
        _RUN_ID,
        _MODE,
        Column("path", TEXT, "in the workspace"),
        Column("change", TEXT, "`made`, `changed` or `removed`"),
        Column("size_bytes", COUNT, "its size after the run", "bytes"),
        Column("runs_by_itself", FLAG, "whether programs run such a file without being asked"),
    ),
    "phases": (
        _RUN_ID,
        _MODE,
        Column("phase", "category", "in the order in which they come"),
        Column("seconds", NUMBER, "how long it took", "s"),
        Column("in_wall", FLAG, "whether it is a part of the wall time; all but `cleanup` are"),
    ),
    "similarity": (
        Column("run_id", TEXT, "one run"),
        Column("other_run_id", TEXT, "another, or the same"),
        Column("mode", TEXT, "where the one ran"),
        Column("other_mode", TEXT, "where the other ran"),
        Column("similarity", NUMBER, "1: the same answer, word by word; 0: no word in common"),
    ),
}
"""The columns of each frame, by its name without `_frame`."""


WANTED = (
    Column("number", "int64", "in the order in which rows begin"),
    Column(
        "block", "int64", "each has every arm once, one that was added those that need more; 0: warm-up runs"
    ),
    Column("warmup", "bool", "whether it only warms the machine up"),
    Column("arm", TEXT, "what tells the arm from the others"),
    Column("attempts", "int64", "tries until now; the last is the one shown", "tries"),
    Column("counted", "bool", "whether it counts: no warm-up run, and an ending that is the agent's own"),
    Column("run_id", TEXT, "the run; missing before there is one"),
)
"""What a row of a comparison was to be."""

MET = (
    Column("engine", TEXT, "the engine and its version"),
    Column("image_digest", TEXT, "the image"),
    Column("sandbox", TEXT, "the lasting sandbox, where one was named"),
    Column("host_load", NUMBER, "the machine's load at the run's end, over a minute", "processes"),
    Column("cpus", COUNT, "processors of the machine"),
    Column("passed", FLAG, "success, and the check passed if there was one; missing where it doesn't count"),
)
"""Under which conditions its run went on, and whether its work is good."""


def markdown() -> str:
    """Return the tables as a document."""
    parts = [_HEAD]
    parts += [_section(f"{name}_frame", columns) for name, columns in COLUMNS.items()]
    parts.append(_section("Comparison.frame", (*WANTED, *MET), _COMPARED))
    words = [f"- `{name}`: {', '.join(f'`{w}`' for w in known)}" for name, known in CATEGORIES.items()]
    return "\n".join([*parts, "## Words of the categories", "", *words, ""])


def _section(title: str, columns: Iterable[Column], text: str = "") -> str:
    rows = [f"| `{c.name}` | `{c.dtype}` | {c.unit} | {c.meaning} |" for c in columns]
    return "\n".join([f"## {title}", "", *([text, ""] if text else []), *_TABLE, *rows, ""])


_TABLE = ("| column | dtype | unit | meaning |", "|---|---|---|---|")
_HEAD = """# Frames

`ccnb.frames` turns runs into pandas frames: from one result, from a list of results, from a comparison (its
runs that count), or from the whole store, filtered as `ccnb.runs` is (`state`, `mode`, `outcome`,
`fingerprint`, `before`, `limit`).

```python
import ccnb

ccnb.frames.runs_frame(mode="docker", outcome="success")
```

A frame has the same columns and dtypes for no row and for a million. Runs stand in the order in which they
were given; from the store, the latest first. Times are aware UTC.
"""
_COMPARED = """\
One row for each run that a comparison wants, in the order in which they begin. Beside the columns below it
has one for each axis (`prompt`, `mode`, `model`, and others that were given) with the row's level as text,
and all of `runs_frame`, whose `model` is called `model_served` here."""
