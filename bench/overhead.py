"""Our own share of a run: `ccnb.run` against `docker run --rm` of the same image, argv, mount and user."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

import ccnb
from bench.report import Figure
from ccnb import claude
from ccnb.engine import Engine, connect, default_reference
from ccnb.errors import CcnbError
from ccnb.mode.base import AGENT_UID, LABEL_STORE
from ccnb.runner.plan import store_id
from ccnb.spec import RunSpec
from ccnb.store import Store

PAIRS = 24
WARM_UP = 3
# The real program, on its shortest way through: a longer task would only hide our share.
ARGUMENTS = ("--version",)


@dataclass(frozen=True)
class Case:
    """What all ways to run are given."""

    engine: Engine
    workspace: Path
    network: str
    """`open` or `none`. The baseline, `docker run` as people type it, has Docker's bridge in both."""

    @property
    def user(self) -> str:
        who = self.engine.identity(AGENT_UID)
        return f"{who.uid}:{who.gid}"

    @property
    def argv(self) -> list[str]:
        return claude.argv(RunSpec(prompt="Do it", extra_args=ARGUMENTS), claude.BYPASS)


def figures() -> Iterator[Figure]:
    """Yield the ratios with a bridge and with no network, and those of a bare client beside them."""
    try:
        engine = connect("docker")
    except CcnbError as error:
        yield Figure.absent("ccnb.run / docker run --rm", "ratio", error.message)
        return
    for network, what, limit in (("open", "bridge", 0.95), ("none", "no network", 0.8)):
        took = _take_turns(engine, network)
        ours, bare, plain = took[_ours], took[_bare], took[_plain]
        detail = f"{PAIRS} pairs; medians {_median_ms(ours)} and {_median_ms(plain)}, "
        detail += f"quartiles of the ratios {_quartiles(ours, plain)}"
        yield Figure.below(f"ccnb.run / docker run --rm, {what}", _ratio(ours, plain), "ratio", limit, detail)
        detail = f"create, start, wait; no removal, nothing collected; median {_median_ms(bare)}"
        yield Figure(
            f"bare SDK client / docker run --rm, {what}", _ratio(bare, plain), "ratio", detail=detail
        )


def _take_turns(engine: Engine, network: str) -> dict[Callable[[Case], float], list[float]]:
    """Return each way's seconds, by turns in all orders, each begun when what came before has ended."""
    ways = [_ours, _plain, _bare]
    took: dict[Callable[[Case], float], list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        (workspace / "file.txt").write_text("something\n")
        case = Case(engine, workspace, network)
        for number in range(-WARM_UP, PAIRS):
            turn = number % 3
            order = [*ways[turn:], *ways[:turn]]
            for way in order if number % 2 else reversed(order):
                seconds = way(case)
                if number >= 0:
                    took[way].append(seconds)
                # The engine's own work behind an answer (the network, the layers) comes to its end.
                time.sleep(0.1)
    return took


def _ours(case: Case) -> float:
    options: dict[str, Any] = {"mode": "docker", "api": "script:demo", "network": case.network}
    begun = time.perf_counter()
    result = ccnb.run("Do it", workspace=str(case.workspace), extra_args=ARGUMENTS, **options)
    took = time.perf_counter() - begun
    assert result.exit_code == 0, result.error
    mine = [f"{LABEL_STORE}={store_id(Store())}"]
    while case.engine.list(mine):
        time.sleep(0.01)
    return took


def _plain(case: Case) -> float:
    mount = f"{case.workspace}:/workspace"
    run = ["docker", "run", "--rm", "--user", case.user, "-w", "/workspace", "-v", mount, default_reference()]
    begun = time.perf_counter()
    subprocess.run([*run, *case.argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def _bare(case: Case) -> float:
    api: docker.APIClient = case.engine.api
    host = api.create_host_config(
        binds=[f"{case.workspace}:/workspace"],
        network_mode="none" if case.network == "none" else "bridge",
    )
    begun = time.perf_counter()
    made = api.create_container(
        default_reference(), case.argv, user=case.user, working_dir="/workspace", host_config=host
    )
    api.start(made["Id"])
    api.wait(made["Id"])
    took = time.perf_counter() - begun
    case.engine.remove(made["Id"])
    return took


def _ratio(some: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(some, others, strict=True))


def _quartiles(some: list[float], others: list[float]) -> str:
    low, _, high = statistics.quantiles([a / b for a, b in zip(some, others, strict=True)], n=4)
    return f"{low:.2f} to {high:.2f}"


def _median_ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"
