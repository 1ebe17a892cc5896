"""`python -m bench [NAME...]`: measure, print a table, write bench-results.json."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    aa,
    client,
    comparing,
    frames,
    gateway,
    latency,
    many,
    memory,
    overhead,
    page,
    report,
    startup,
)
from bench.report import Figure
from ccnb.gateway import process

SUBJECTS = {
    "import": startup,
    "overhead": overhead,
    "latency": latency,
    "gateway": gateway,
    "many": many,
    "memory": memory,
    "frames": frames,
    "compare": comparing,
    "page": page,
}
LONG = {"aa": aa}
"""What takes many minutes, and is measured only when it is named."""
RESULTS = Path("bench-results.json")
PAGE = Path("docs/figures.md")


def main() -> None:
    """Measure what was asked for, one thing at a time. A missed target is told, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(SUBJECTS | LONG)}; none means all but {', '.join(LONG)}",
    )
    parser.add_argument("--page", action="store_true", help=f"write {PAGE} of them, too")
    asked = parser.parse_args()
    names = asked.names or list(SUBJECTS)
    if unknown := sorted(set(names) - set(SUBJECTS | LONG)):
        parser.error(f"no figure is named {unknown[0]!r}; there are {', '.join(SUBJECTS | LONG)}")
    home = Path(tempfile.mkdtemp(prefix="ccnb-bench-"))
    os.environ["CCNB_HOME"] = str(home)
    try:
        found, conditions = _measure(names)
    finally:
        process.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    if asked.page:
        PAGE.write_text(report.page(found, conditions))


def _measure(names: list[str]) -> tuple[list[Figure], dict[str, Any]]:
    console = Console()
    conditions = report.conditions()
    found: list[Figure] = []
    failures: dict[str, str] = {}
    for name in names:
        load = os.getloadavg()[0]
        console.print(f"measuring {name} (load {load:.1f})", style="dim")
        conditions["load"][name] = round(load, 2)
        try:
            found += client.in_own_process(client.take, (SUBJECTS | LONG)[name].figures)
        except Exception as error:  # noqa: BLE001 - one figure's failure must not hide the others
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}"
    report.show(found, conditions, console)
    for name, why in failures.items():
        console.print(f"{name} could not be measured: {why}", style="red")
    report.write(RESULTS, found, conditions, failures)
    return found, conditions


if __name__ == "__main__":
    main()
