"""docs/beside-the-peers.md, made of the measurements and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.peers.rows import Row, ratio_text, rows_of, summed

_HEAD = """# Beside the peers

<!-- Made by `make bench-peers`. Nothing here is entered by hand. -->

Other tools do a part of what ccnb does. Here each stands beside it, measured in one session on one
machine, by turns: a round has every contestant once, and every second round goes backwards. Each
contestant is a process of its own that stays, so only the import figures have imports in them. A value
is the median of its rounds with the quartiles; a ratio is the median of the rounds' ratios, ours by
theirs. Who is ahead is said only where the middle half of the rounds agrees.
"""
_PEERS = {
    "docker run": "the docker command line, typed by hand, its output read from a pipe",
    "mini-swe-agent": "its docker environment: commands in a container, no agent inside",
    "claude-agent-sdk": "`query()` by itself, the agent being a process of this machine",
    "inspect-ai": "its data frames of logs",
}
_AGAIN = """## Measure it yourself

<!-- not run: it takes ten minutes on an idle machine and installs the peers -->
```sh
make bench-peers
```

The peers go into `.venv-peers`, which `make clean` removes. `python -m bench.peers --quick` takes four
minutes and writes nothing; `--page` makes this page anew from `bench/peers.json`, where all rounds are.
"""


def page(measured: Mapping[str, Any]) -> str:
    """Return the page."""
    rows = rows_of(measured)
    parts = [_HEAD, _picture(rows), *(_of_peer(name, what, rows) for name, what in _PEERS.items())]
    return "\n".join([*parts, _machine(measured["conditions"]), _AGAIN])


def counts(rows: Sequence[Row]) -> str:
    """Return in words how often who is ahead."""
    measured = [row for row in rows if row.measured]
    ours = sum(row.ahead == "this project" for row in measured)
    neither = sum(row.ahead == "neither" for row in measured)
    theirs = len(measured) - ours - neither
    return (
        f"Of {len(measured)} figures, this project is ahead in {ours}, a peer in {theirs}, "
        f"and {neither} show no clear difference."
    )


def _picture(rows: Sequence[Row]) -> str:
    behind = [row for row in rows if row.measured and row.ahead not in ("this project", "neither")]
    lines = [counts(rows), "", f"![{counts(rows)}](beside-the-peers.svg)", ""]
    if behind:
        lines += ["Where a peer is ahead:", ""]
        lines += [f"- {row.figure}: {row.verdict}" for row in behind]
        lines += [""]
    return "\n".join(lines)


def _of_peer(name: str, what: str, rows: Sequence[Row]) -> str:
    own = [row for row in rows if row.peer == name]
    lines = [f"## {name}", "", what[0].upper() + what[1:] + ".", ""]
    lines += _table(
        ("figure", "unit", "ours", "theirs", "ours / theirs", "who is ahead"),
        [
            (row.figure, row.unit, summed(row.ours), summed(row.theirs), ratio_text(row), _bold(row))
            for row in own
            if row.measured
        ],
    )
    lines += _table(
        ("figure", "why there is no number"), [(row.figure, row.why) for row in own if not row.measured]
    )
    if compared := [row for row in own if row.measured]:
        lines += ["What is compared:", ""]
        lines += [f"- {row.figure} ({len(row.ours)} rounds): {row.compared}." for row in compared]
        lines += [""]
    return "\n".join(lines)


def _bold(row: Row) -> str:
    return f"**{row.verdict}**" if row.ahead == row.peer else row.verdict


def _machine(conditions: Mapping[str, Any]) -> str:
    rows = [(name.replace("_", " "), str(value)) for name, value in conditions.items()]
    return "\n".join(["## The machine", "", *_table(("what", "value"), rows)])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines] + [""]
