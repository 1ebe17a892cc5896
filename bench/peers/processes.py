"""Beside claude-agent-sdk: the agent is a process of this machine, ours behind bubblewrap, theirs bare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.peers import doing, figures, model
from bench.peers.child import Child
from bench.peers.containers import BARE
from bench.peers.given import PERMITTED, Given, agent
from bench.peers.measured import OURS, median, own_share, p95, row, value
from bench.peers.packages import Peer
from bench.peers.rows import Row
from bench.peers.turns import by_turns
from tests.conftest import DOUBLES

_TASK = "the same agent program, three answers of the scripted model, two commands; ours in mode local"


def beside_sdk(given: Given, peer: Peer) -> Iterator[Row]:
    """Yield the rows beside `claude_agent_sdk.query`."""
    name = peer.package
    no_program = "" if given.program else "no claude program is on this machine"
    if why := given.no_wall or no_program or peer.why:
        yield from (Row.absent(figure, name, why) for figure in figures.RUN if figure != figures.GONE)
        return
    with given.ours("sdk") as ours, given.peer("sdk", peer) as sdk, given.by_hand() as bare:
        yield from _tasks(given, ours, sdk, bare, name)
    with given.ours("sdk-double", double=True) as ours, given.peer("sdk", peer) as sdk:
        yield from _latency(given, ours, sdk, name)
        yield from _flood(given, ours, sdk, name)
    yield Row.has_none(figures.GONE, name, "it makes no place")
    yield Row.has_none(figures.RUNS_FRAME, name, "it keeps no runs")


def double_with_handshake(commands: str) -> str:
    """Return the commands of an agent that first answers as the SDK expects."""
    return f"{doing.HANDSHAKE}{commands}"


def double_query(commands: str) -> dict[str, Any]:
    """Return the SDK's options for a shell program in the agent's place."""
    program = str(DOUBLES / "agent" / "claude")
    return {"prompt": "Do it", "cli_path": program, "env": {"AGENT": commands}}


def _tasks(given: Given, ours: Child, sdk: Child, bare: Child, name: str) -> Iterator[Row]:
    program = str(given.program)
    theirs = {"cli_path": program, "permission_mode": "acceptEdits", "allowed_tools": [PERMITTED]}
    command = agent("--permission-mode=acceptEdits", f"--allowedTools={PERMITTED}")
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("task", prompt=model.PROMPT, mode="local", auth="env"),
            name: lambda: sdk.ask("task", prompt=model.PROMPT, **theirs),
            BARE: lambda: bare.ask("task", command=[program, *command[1:]]),
        },
        given.sizes.tasks,
    )
    yield row(rounds, name, figures.RESULT, value("result_s"), f"{_TASK}; until the result is read")
    what = "ours has then also gathered the changed files, the patch and all events"
    yield row(rounds, name, figures.RETURNED, value("returned_s"), f"{_TASK}; {what}")
    least = "the agent by itself, its output read, in the same round"
    yield own_share(rounds, name, BARE, f"until the call returns, less {least}")
    yield row(rounds, name, figures.FIRST, value("first_s"), f"{_TASK}; from the call to the first event")


def _latency(given: Given, ours: Child, sdk: Child, name: str) -> Iterator[Row]:
    ticking = doing.ticking(given.sizes.ticks)
    theirs = double_query(double_with_handshake(ticking))
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("ticks", **_double_run(ticking)),
            name: lambda: sdk.ask("ticks", **theirs),
        },
        given.sizes.tick_rounds,
    )
    what = f"{doing.LATENCY}. Ours to on_event, stored; theirs to the message of `query`"
    yield row(rounds, name, figures.LATENCY, median("delays_ms"), what)
    yield row(rounds, name, figures.LATENCY_P95, p95("delays_ms"), what)


def _flood(given: Given, ours: Child, sdk: Child, name: str) -> Iterator[Row]:
    lines = given.sizes.flood_lines
    flooding = doing.flooding(lines)
    theirs = double_query(double_with_handshake(flooding))
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("flood", lines=lines, **_double_run(flooding)),
            name: lambda: sdk.ask("flood", lines=lines, **theirs),
        },
        given.sizes.flood_rounds,
    )
    what = f"{lines:,} lines without a pause, from the first to the last; ours also redacts and stores each"
    yield row(rounds, name, figures.FLOOD, value("lines_per_s"), what)
    yield row(
        rounds, name, figures.MEMORY, value("peak_mb"), "the highest of the Python process, the agent's not"
    )


def _double_run(commands: str) -> dict[str, Any]:
    return {"prompt": "Do it", "mode": "local", "auth": "env", "env": {"AGENT": commands}}
