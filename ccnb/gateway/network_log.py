"""The log of a run's connections: a private file of JSON lines in the run's folder.

A connection that is let through has two lines of one `id`: the first is written before anything passes, so
that no death of the gateway hides it, and the second at its end, with what passed.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccnb.redact import Redactor
from ccnb.results import Connection

FILE = "network.jsonl"
LARGEST_BYTES = 16 * 1024 * 1024
"""A run's log ends here, and with it what the run may reach: nothing passes that isn't written down."""


class Entry:
    """One connection as it is written down."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self._folder = folder
        self._id = secrets.token_hex(6)
        self._at = datetime.now(UTC)
        self._began = time.monotonic()
        self._host = host
        self._port = port

    def refused(self, reason: str) -> None:
        """Write down that it was not let through."""
        if not is_full(self._folder):
            self._write(self._first(allowed=False, reason=reason) | self._last(0, 0))

    def failed(self, reason: str) -> None:
        """Write down that it was let through, and came to nothing."""
        self._write(self._first(allowed=True, reason=reason) | self._last(0, 0))

    def opened(self, reason: str) -> None:
        """Write down that it is let through."""
        self._write(self._first(allowed=True, reason=reason))

    def closed(self, bytes_up: int, bytes_down: int) -> None:
        """Write down what has passed."""
        self._write(self._last(bytes_up, bytes_down))

    def _first(self, *, allowed: bool, reason: str) -> dict[str, Any]:
        at = self._at.isoformat()
        return {"at": at, "host": self._host, "port": self._port, "allowed": allowed, "reason": reason}

    def _last(self, bytes_up: int, bytes_down: int) -> dict[str, Any]:
        duration_s = round(time.monotonic() - self._began, 6)
        return {"bytes_up": bytes_up, "bytes_down": bytes_down, "duration_s": duration_s}

    def _write(self, line: dict[str, Any]) -> None:
        fd = os.open(self._folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write of one line: two gateways' lines never mix.
            os.write(fd, json.dumps({"id": self._id} | line).encode() + b"\n")
        finally:
            os.close(fd)


def is_full(folder: Path) -> bool:
    """Return whether a run's log has reached its end."""
    try:
        return (folder / FILE).stat().st_size >= LARGEST_BYTES
    except OSError:
        return False


def read(folder: Path) -> tuple[Connection, ...]:
    """Return a run's connections in their order; none where nothing asked for any."""
    found: dict[str, dict[str, Any]] = {}
    for line in _lines(folder):
        found.setdefault(str(line.pop("id", "")), {}).update(line)
    return tuple(Connection.from_dict(values) for values in found.values() if "at" in values)


def redact(folder: Path, redactor: Redactor) -> None:
    """Take a run's secrets out of its log, should what ran in the place have asked for them as hosts."""
    path = folder / FILE
    if not path.exists():
        return
    text = path.read_text(errors="replace")
    clean = "".join(f"{json.dumps(redactor.value(line))}\n" for line in _lines(folder))
    if redactor.text(text) != text:
        scratch = path.with_suffix(".new")
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(clean)
        scratch.replace(path)


def _lines(folder: Path) -> list[dict[str, Any]]:
    """Return the objects in a log; a line that a dying gateway left half is passed over."""
    try:
        text = (folder / FILE).read_text(errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
