"""Beside Inspect: frames from what is kept. And beside all: what an import takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.peers import figures
from bench.peers.child import ContestantError
from bench.peers.figures import Figure
from bench.peers.given import ROOT, Given
from bench.peers.measured import OURS, row, value
from bench.peers.packages import INSPECT, MINI, SDK, Peer
from bench.peers.rows import Row
from bench.peers.turns import Take, by_turns

_USED = {
    MINI.package: (
        "import ccnb; ccnb.run; import ccnb.mode.docker",
        "import minisweagent.environments.docker",
    ),
    SDK.package: ("import ccnb; ccnb.run; import ccnb.mode.local", "from claude_agent_sdk import query"),
    INSPECT.package: ("import ccnb; ccnb.frames.runs_frame", "from inspect_ai.analysis import samples_df"),
}


def beside_inspect(given: Given, peer: Peer) -> Iterator[Row]:
    """Yield the rows beside Inspect's data frames."""
    name, samples = peer.package, given.sizes.samples
    yield Row.not_compared(figures.ALL_OF_A_RUN, name, "it evaluates models; only its data frames stand here")
    if peer.why:
        yield from (Row.absent(figure, name, peer.why) for figure in figures.FRAMES)
        return
    with given.ours("frames") as ours, given.peer("inspect_frames", peer) as theirs:
        try:
            events = round(theirs.ask("log", samples=samples)["events"] / samples)
        except ContestantError as error:
            yield from (Row.absent(figure, name, str(error)) for figure in figures.FRAMES)
            return
        rounds = by_turns(
            {
                OURS: lambda: ours.ask("frames", runs=samples, events=events),
                name: lambda: theirs.ask("frames", samples=samples),
            },
            given.sizes.frame_rounds,
        )
    what = f"{samples} runs in our store, {samples} samples in one log of theirs, {events} events in each"
    columns = [taken[-1]["columns"] if (taken := rounds.taken[one]) else (0, 0) for one in (OURS, name)]
    for place, figure, key in ((0, figures.RUNS_FRAME, "runs_ms"), (1, figures.EVENTS_FRAME, "events_ms")):
        said = f"{what}; {columns[0][place]} columns of ours, {columns[1][place]} of theirs"
        yield row(rounds, name, figure, value(key), said)


def imports(given: Given, peers: tuple[Peer, ...]) -> Iterator[Row]:
    """Yield what each package's import takes beyond its bare interpreter."""
    for peer in peers:
        if peer.why:
            yield from (
                Row.absent(figure, peer.package, peer.why) for figure in (figures.IMPORT, figures.USE)
            )
            continue
        what = "in a fresh interpreter, less the interpreter by itself"
        ours, theirs = _USED[peer.package]
        yield _import(
            given,
            peer,
            figures.IMPORT,
            ("import ccnb", f"import {peer.module}"),
            f"{what}; ours loads its parts when they are first used",
        )
        yield _import(given, peer, figures.USE, (ours, theirs), f"`{ours}` beside `{theirs}`, {what}")


def _import(given: Given, peer: Peer, figure: Figure, codes: tuple[str, str], what: str) -> Row:
    takes: Mapping[str, Take] = {
        OURS: lambda: _beyond(given, sys.executable, codes[0]),
        peer.package: lambda: _beyond(given, peer.python, codes[1]),
    }
    rounds = by_turns(takes, given.sizes.imports)
    return row(rounds, peer.package, figure, value("took_ms"), what)


def _beyond(given: Given, python: Path | str, code: str) -> dict[str, float]:
    """Return what the code takes beyond the interpreter, both just now."""
    env = given.env | {"PYTHONPATH": str(ROOT) if python == sys.executable else ""}
    took = []
    for one in ("pass", code):
        begun = time.perf_counter()
        subprocess.run([str(python), "-c", one], env=env, check=True, stdout=subprocess.DEVNULL)
        took.append((time.perf_counter() - begun) * 1000)
    return {"took_ms": took[1] - took[0]}
