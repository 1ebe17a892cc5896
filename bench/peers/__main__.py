"""Measure this project beside its peers: a table, bench/peers.json, and docs/beside-the-peers.*."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.peers import at_once, commands, containers, data, machine, model, page, picture, processes, table
from bench.peers.given import FULL, QUICK, ROOT, Given, Sizes
from bench.peers.packages import ALL, INSPECT, MINI, SDK, install
from bench.peers.rows import NOT_MEASURED, Row, rows_of
from ccnb import claude
from ccnb.engine import connect, default_reference
from ccnb.errors import CcnbError
from ccnb.gateway import process
from ccnb.mode import _bubblewrap
from tests.conftest import agent_image, bridge_address

KEPT = ROOT / "bench" / "peers.json"
PAGE = ROOT / "docs" / "beside-the-peers.md"
_FILE_WIDTH = 170


def main() -> None:
    """Measure one peer after the other, each by turns with this project."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, a table, and nothing is written")
    parser.add_argument(
        "--page", action="store_true", help="make page and picture of what was measured before"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here, and no page")
    asked = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    measured = (
        json.loads(KEPT.read_text()) if asked.page else measure(console, QUICK if asked.quick else FULL)
    )
    table.show(measured, console)
    if asked.json:
        _write(asked.json, measured)
    elif not asked.quick:
        _write(KEPT, measured)
        PAGE.write_text(page.page(measured))
        picture.draw(measured, PAGE.with_suffix(".svg"))
    missing = sum(row.why.startswith(NOT_MEASURED) for row in rows_of(measured))
    if missing:
        raise SystemExit(f"{missing} figures could not be measured; the table says why")


def measure(console: Console, sizes: Sizes) -> dict[str, Any]:
    """Return all rows with their conditions, as JSON."""
    peers = {peer.package: install(peer) for peer in ALL}
    mini, sdk, inspect = (peers[peer.package] for peer in (MINI, SDK, INSPECT))
    conditions = machine.described(list(peers.values()))
    begun = time.monotonic()
    rows: list[Row] = []
    with _given(sizes) as given:
        conditions |= machine.agents(given)
        for name, some in (
            ("docker run", containers.beside_docker(given)),
            (mini.package, commands.beside_mini(given, mini)),
            (sdk.package, processes.beside_sdk(given, sdk)),
            ("many at once", at_once.at_once(given, mini, sdk)),
            (inspect.package, data.beside_inspect(given, inspect)),
            ("imports", data.imports(given, tuple(peers.values()))),
        ):
            conditions[f"load before {name}"] = machine.load()
            console.print(f"{name} (after {time.monotonic() - begun:.0f} s)", style="dim")
            for row in some:
                console.print(f"  {row.figure}, {row.peer}: {row.verdict}", style="dim")
                rows.append(row)
    conditions |= machine.ended()
    return {"conditions": conditions, "sizes": sizes.to_dict(), "rows": [row.to_dict() for row in rows]}


@contextmanager
def _given(sizes: Sizes) -> Iterator[Given]:
    """Give the conditions: the scripted model where containers reach it too, and a home that goes."""
    with tempfile.TemporaryDirectory(prefix="ccnb-peers-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        given = Given(sizes, "", home, claude.find_program(), no_wall=_bubblewrap.fault() or "")
        host = "127.0.0.1"
        try:
            given = replace(given, image=_own_image(), double=agent_image("docker"))
            host = bridge_address()
        except CcnbError as error:
            given = replace(given, no_engine=error.message)
        with model.serving(host) as url:
            try:
                yield replace(given, url=url)
            finally:
                for state in home.glob("*/gateway.state"):
                    process.stop(state.parent)


def _own_image() -> str:
    connect("docker")
    return default_reference()


def _write(path: Path, measured: dict[str, Any]) -> None:
    path.write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
