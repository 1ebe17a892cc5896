"""Reports from the command line: what `report` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ccnb import reports
from ccnb.cli.output import say
from ccnb.errors import SpecError


def run(
    notebook: Path | None,
    given: Sequence[str],
    output: Path | None,
    from_store: str | None,
    cell_timeout_s: float | None,
) -> int:
    """Make a report, say where it is; the exit code is 1 when a cell failed."""
    if (notebook is None) == (from_store is None):
        raise SpecError("name a notebook, or a comparison by --from-store")
    if from_store is not None:
        say(str(reports.from_store(from_store, output or Path(f"{from_store}.html"))))
        return 0
    report = reports.execute_report(
        notebook,
        dict(map(parameter, given)),
        output=output,
        cell_timeout_s=cell_timeout_s,
        on_progress=lambda line: say(line, stderr=True),
    )
    if report.error:
        say(f"error: {report.error}", stderr=True)
    say(str(report.path))
    return 1 if report.error else 0


def parameter(text: str) -> tuple[str, Any]:
    """Return a parameter from `NAME=VALUE`.

    >>> parameter("repeats=3"), parameter("modes=docker,podman")
    (('repeats', 3), ('modes', 'docker,podman'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise SpecError(f"-p takes NAME=VALUE, not {text!r}")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value
