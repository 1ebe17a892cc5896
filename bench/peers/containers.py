"""Beside `docker run` by hand: the same agent in the same image, its output read from a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from bench.peers import doing, figures, model
from bench.peers.child import Child
from bench.peers.given import Given, agent, double_run
from bench.peers.measured import OURS, median, own_share, p95, row, value
from bench.peers.rows import Row
from bench.peers.turns import by_turns

HAND = "docker run"
GATEWAY, BARE = "ours, gateway", "bare"
_SKIP = "--dangerously-skip-permissions"


def beside_docker(given: Given) -> Iterator[Row]:
    """Yield the rows beside the docker command line."""
    if given.no_engine:
        yield from (Row.absent(figure, HAND, given.no_engine) for figure in figures.RUN)
        return
    with given.ours("docker") as ours, given.by_hand() as hand, given.bare() as bare:
        yield from _tasks(given, ours, hand, bare)
        yield from _latency(given, ours, hand)
        yield from _flood(given, ours, hand)
    yield Row.has_none(figures.RUNS_FRAME, HAND, "it keeps no runs")
    yield Row.has_none(figures.IMPORT, HAND, "it is a program, no library")


def _tasks(given: Given, ours: Child, hand: Child, bare: Child) -> Iterator[Row]:
    options = {"prompt": model.PROMPT, "mode": "docker"}
    command = given.docker_run(given.image, *agent(_SKIP))
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("task", auth="env", **options),
            HAND: lambda: hand.ask("task", command=command),
            BARE: lambda: bare.ask("task", image=given.image, argv=agent(_SKIP), env=given.passed),
            GATEWAY: lambda: ours.ask("task", auth="gateway", **options),
        },
        given.sizes.tasks,
    )
    task = "the real agent, three answers of the scripted model, two commands"
    yield row(rounds, HAND, figures.RESULT, value("result_s"), f"{task}; until the result event is read")
    what = "ours has then also gathered the changed files, the patch and all events; theirs has removed"
    yield row(rounds, HAND, figures.RETURNED, value("returned_s"), f"{task}; {what} its container")
    yield row(rounds, HAND, figures.GONE, value("gone_s"), f"{task}; until the container is removed")
    least = (
        "create, start and wait of the same container and agent through the engine's API, in the same round"
    )
    yield own_share(rounds, HAND, BARE, f"until the call returns, less {least}")
    yield row(rounds, HAND, figures.FIRST, value("first_s"), f"{task}; from the call to the first event")
    what = "ours with the key outside the container, theirs with the key in it"
    yield row(rounds, HAND, figures.GATEWAY, value("returned_s"), f"{task}; {what}", ours=GATEWAY)


def _latency(given: Given, ours: Child, hand: Child) -> Iterator[Row]:
    ticking = doing.ticking(given.sizes.ticks)
    command = given.docker_run(given.double, "claude", more=("-e", f"AGENT={ticking}"))
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("ticks", **double_run(given.double, ticking)),
            HAND: lambda: hand.ask("ticks", command=command),
        },
        given.sizes.tick_rounds,
    )
    what = f"{doing.LATENCY}. Ours to on_event, stored; theirs to a pipe's reader"
    yield row(rounds, HAND, figures.LATENCY, median("delays_ms"), what)
    yield row(rounds, HAND, figures.LATENCY_P95, p95("delays_ms"), what)


def _flood(given: Given, ours: Child, hand: Child) -> Iterator[Row]:
    lines = given.sizes.flood_lines
    flooding = doing.flooding(lines)
    command = given.docker_run(given.double, "claude", more=("-e", f"AGENT={flooding}"))
    rounds = by_turns(
        {
            OURS: lambda: ours.ask("flood", lines=lines, **double_run(given.double, flooding)),
            HAND: lambda: hand.ask("flood", lines=lines, command=command),
        },
        given.sizes.flood_rounds,
    )
    what = (
        f"{lines:,} lines without a pause, from the first to the last; ours parses, redacts and stores each"
    )
    yield row(rounds, HAND, figures.FLOOD, value("lines_per_s"), f"{what}, theirs parses each")
    what = "the highest of our Python process, and of the docker program alone, without what reads it"
    yield row(rounds, HAND, figures.MEMORY, value("peak_mb"), what)
