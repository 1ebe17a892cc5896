"""Many at once: containers beside `docker run` and mini-swe-agent, processes beside claude-agent-sdk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.peers import doing, figures
from bench.peers.containers import HAND
from bench.peers.given import Given, double_run
from bench.peers.measured import OURS, row, value
from bench.peers.packages import Peer
from bench.peers.processes import double_query, double_with_handshake
from bench.peers.rows import Row
from bench.peers.turns import Take, by_turns

_WHAT = "a shell program in the agent's place, four events; until all have returned"


def at_once(given: Given, mini: Peer, sdk: Peer) -> Iterator[Row]:
    """Yield the rows of each number at once."""
    for runs, rounds in given.sizes.at_once.items():
        yield from _containers(given, mini, runs, rounds)
        yield from _processes(given, sdk, runs, rounds)


def _containers(given: Given, mini: Peer, runs: int, rounds: int) -> Iterator[Row]:
    figure = figures.at_once(runs)
    if given.no_engine:
        yield from (Row.absent(figure, name, given.no_engine) for name in (HAND, mini.package))
        return
    options = double_run(given.double, doing.FEW)
    command = given.docker_run(given.double, "claude", more=("-e", f"AGENT={doing.FEW}"))
    shape = {"runs": runs, "events": doing.FEW_EVENTS}
    with given.ours("many") as ours, given.by_hand() as hand:
        contestants: dict[str, Take] = {
            OURS: lambda: ours.ask("many", **shape, **options),
            HAND: lambda: hand.ask("many", **shape, command=command),
        }
        if mini.why:
            taken = by_turns(contestants, rounds)
        else:
            with given.peer("mini_swe", mini) as peer:
                theirs = {"image": given.double, "command": "echo one; echo two", "runs": runs}
                contestants[mini.package] = lambda: peer.ask("many", **theirs)
                taken = by_turns(contestants, rounds)
    yield row(taken, HAND, figure, value("took_s"), f"{_WHAT}, theirs with its containers removed")
    if mini.why:
        yield Row.absent(figure, mini.package, mini.why)
        return
    what = f"ours: {_WHAT}; theirs: one command that prints two lines, in threads, their removal only begun"
    yield row(taken, mini.package, figure, value("took_s"), what)


def _processes(given: Given, sdk: Peer, runs: int, rounds: int) -> Iterator[Row]:
    figure = figures.at_once(runs)
    if why := given.no_wall or sdk.why:
        yield Row.absent(figure, sdk.package, why)
        return
    shape: Mapping[str, Any] = {"runs": runs, "events": doing.FEW_EVENTS}
    with given.ours("many-local", double=True) as ours, given.peer("sdk", sdk) as peer:
        options = {"prompt": "Do it", "mode": "local", "auth": "env", "env": {"AGENT": doing.FEW}}
        theirs = double_query(double_with_handshake(doing.FEW))
        taken = by_turns(
            {
                OURS: lambda: ours.ask("many", **shape, **options),
                sdk.package: lambda: peer.ask("many", **shape, **theirs),
            },
            rounds,
        )
    yield row(taken, sdk.package, figure, value("took_s"), f"{_WHAT}; ours behind bubblewrap, theirs bare")
