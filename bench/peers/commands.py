"""Beside mini-swe-agent's docker environment, which runs commands in a container, and no agent."""

from __future__ import annotations

from collections.abc import Iterator

from bench.peers import doing, figures, model
from bench.peers.child import Child
from bench.peers.given import Given, double_run
from bench.peers.measured import OURS, median, row, value
from bench.peers.packages import Peer
from bench.peers.rows import Row
from bench.peers.turns import by_turns

_MEASURED = (figures.OUTPUT, figures.RETURNED, figures.GONE, figures.EXEC, figures.FLOOD, figures.MEMORY)


def beside_mini(given: Given, peer: Peer) -> Iterator[Row]:
    """Yield the rows beside mini-swe-agent's docker environment, which runs commands and no agent."""
    if why := given.no_engine or peer.why:
        yield from (Row.absent(figure, peer.package, why) for figure in _MEASURED)
        return
    with given.ours("mini") as ours, given.peer("mini_swe", peer) as mini:
        yield from _commands(given, ours, mini, peer.package)
        yield from _flood_of_output(given, ours, mini, peer.package)
    yield Row.has_none(figures.SHARE, peer.package, "no agent runs in its container")
    for figure in (figures.FIRST, figures.LATENCY, figures.LATENCY_P95):
        yield Row.has_none(figure, peer.package, "no events; a command's output comes when it has ended")
    yield Row.has_none(figures.RUNS_FRAME, peer.package, "a trajectory is one JSON file")


def _commands(given: Given, ours: Child, mini: Child, name: str) -> Iterator[Row]:
    options, image = double_run(given.double, doing.commands()), given.double
    theirs = {"image": image, "commands": list(model.COMMANDS)}
    rounds = by_turns(
        {OURS: lambda: ours.ask("task", **options), name: lambda: mini.ask("task", **theirs)},
        given.sizes.tasks,
    )
    what = "the same image and two shell commands: ours in a whole run, by a shell program for an agent, "
    what += "theirs by a `docker exec` for each"
    yield row(rounds, name, figures.OUTPUT, value("result_s"), what)
    yield row(
        rounds, name, figures.RETURNED, value("returned_s"), f"{what}; their removal has only been begun then"
    )
    rounds = by_turns(
        {OURS: lambda: ours.ask("task", **options), name: lambda: mini.ask("gone", **theirs)},
        given.sizes.removals,
        warm_up=0,
    )
    yield row(rounds, name, figures.GONE, value("gone_s"), f"{what}; each by its own clean-up")
    times = given.sizes.execs
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("execs", command="true", times=times, **options),
            name: lambda: mini.ask("execs", image=image, command="true", times=times),
        },
        given.sizes.tick_rounds,
    )
    what = (
        f"`true` in a container that is there, median of {times}; ours by the mode's exec, theirs by execute"
    )
    yield row(rounds, name, figures.EXEC, median("took_ms"), what)


def _flood_of_output(given: Given, ours: Child, mini: Child, name: str) -> Iterator[Row]:
    lines = given.sizes.flood_lines
    options = double_run(given.double, doing.flooding(lines))
    command = doing.printing(lines)
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("flood", lines=lines, **options),
            name: lambda: mini.ask("flood", image=given.double, command=command, lines=lines),
        },
        given.sizes.flood_rounds,
    )
    what = f"{lines:,} lines; ours parses and stores each as it comes, theirs gives one string at the end"
    yield row(rounds, name, figures.FLOOD, value("lines_per_s"), what)
    what = "the highest of the Python process; theirs starts the docker program besides, which is not in it"
    yield row(rounds, name, figures.MEMORY, value("peak_mb"), what)
