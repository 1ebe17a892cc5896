"""A whole comparison in one file: to keep, and to give away."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from ccnb.comparison.elsewhere import Parcel, pack, unpack
from ccnb.errors import ComparisonError
from ccnb.store import Store, comparisons
from ccnb.store.comparisons import Attempt

_VERSION = 1


def export(store: Store, name: str, path: Path) -> Path:
    """Write a comparison's matrix, its attempts and their finished runs to a file (JSON lines, gzip).

    Raises
    ------
    ComparisonError
        The file can't be written.
    """
    try:
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line, default=_plain) + "\n" for line in _lines(store, name))
    except OSError as error:
        raise ComparisonError(f"{path} can't be written ({error.strerror}); name another file") from None
    return path


def load(store: Store, path: Path) -> str:
    """Put a comparison that was exported into the store; return its name.

    Raises
    ------
    ComparisonError
        The file is none of ours, or another comparison has its name.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head, *rest = [json.loads(line) for line in file]
        name, matrix = str(head["name"]), head["matrix"]
        known = head["ccnb_comparison"] == _VERSION
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ComparisonError(f"{path} is no exported comparison ({error}); name another file") from None
    if not known:
        raise ComparisonError(f"{path} was written by a newer ccnb; upgrade ccnb-toolkit")
    if comparisons.add(store, name, matrix) != matrix:
        raise ComparisonError(
            f"another comparison has the name {name!r} here; load it with another CCNB_HOME"
        )
    there = {(one.number, one.attempt) for one in comparisons.attempts(store, name)}
    for line in rest:
        unpack(store, Parcel(**line["run"]))
        attempt = Attempt(**line["attempt"])
        if (attempt.number, attempt.attempt) not in there:
            comparisons.add_attempt(store, name, attempt)
    return name


def _lines(store: Store, name: str) -> Iterator[dict[str, Any]]:
    yield {
        "ccnb_comparison": _VERSION,
        "name": name,
        "matrix": comparisons.matrix_of(store, name),
    }
    finished = {run_id for run_id, run in comparisons.kept(store, name).items() if run.record is not None}
    for attempt in comparisons.attempts(store, name):
        if attempt.run_id in finished:
            yield {"attempt": asdict(attempt), "run": asdict(pack(store, attempt.run_id, clean=True))}


def _plain(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else str(value)
