"""A closed network of a sandbox: the rules of Docker's proxy, and what it wrote down, as a run's log."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from ccnb import network
from ccnb.mode._sandbox_call import beginning, first_json
from ccnb.spec import RunSpec

_MODEL = "api.anthropic.com:443"
_LOG = "network.jsonl"
"""The same file, with the same lines, as the egress proxy of other modes writes."""
_PORTS = {"http": 80, "https": 443}
_ONE_BY_ONE = ("entries", "logs", "requests")
"""Lists with an entry for each request: the first is documented for `docker sandbox`, no other was seen."""
_BY_HOST = {"blocked_hosts": False, "allowed_hosts": True}
"""Lists with an entry for each host, and whether it was allowed: as `sbx` 0.32 to 0.47 was seen to print."""
_LISTS = (*_ONE_BY_ONE, *_BY_HOST)
_REPORT = "please report it, with the program's version"


def hosts(spec: RunSpec, gateway: str | None) -> list[str]:
    """Return what a sandbox may reach, each with its port: its list, and the one way to the model."""
    listed = [
        f"{'*.' if rule.subdomains else ''}{rule.host}:{rule.port}" for rule in network.rules(spec.hosts)
    ]
    return [*listed, gateway or _MODEL]


def write_log(folder: Path, output: bytes, name: str, gateway: str | None) -> str:
    """Write down what a sandbox's proxy says that was asked for; the model's own way is left out.

    Return what of it can't be read, as a sentence; empty when all can.
    """
    entries = _entries(first_json(output) or {})
    if entries is None:
        return f"the proxy's log has a form that isn't known ({beginning(output)}); {_REPORT}"
    own = [entry for entry in entries if entry.sandbox in ("", name)]
    read = [line for line in map(_line, own) if line is not None]
    _write(folder, [line for line in read if _is_asked_for(line, gateway or _MODEL)])
    if len(read) == len(own):
        return ""
    return f"{len(own) - len(read)} of {len(own)} entries in the proxy's log can't be read; {_REPORT}"


@dataclass(frozen=True)
class _Entry:
    """An entry of a log, as either of the two forms has it."""

    sandbox: str
    address: str
    """A URL, or a host, mostly with its port."""
    at: str
    allowed: bool
    reason: str = ""
    count: int = 1

    @classmethod
    def of_request(cls, row: dict[str, Any]) -> Self:
        """Return what one request came to."""
        allowed = str(row.get("action") or "").startswith("allow")
        return cls(_text(row, "sandbox"), _text(row, "url"), _text(row, "timestamp"), allowed)

    @classmethod
    def of_host(cls, row: dict[str, Any], *, allowed: bool) -> Self:
        """Return what all requests to one host came to, of which the last one's time is told."""
        count = row.get("count_since")
        return cls(
            _text(row, "vm_name"),
            _text(row, "host"),
            _text(row, "last_seen"),
            allowed,
            _text(row, "reason"),
            count if isinstance(count, int) and count > 0 else 1,
        )


def _entries(value: dict[str, Any]) -> list[_Entry] | None:
    """Return the entries of a log of either form; `None` when it has neither."""
    # Go prints a list of nothing as null, too.
    lists = {key: [] if value[key] is None else value[key] for key in _LISTS if key in value}
    if not lists or not all(isinstance(rows, list) for rows in lists.values()):
        return None
    return [_entry(key, row if isinstance(row, dict) else {}) for key, rows in lists.items() for row in rows]


def _entry(key: str, row: dict[str, Any]) -> _Entry:
    if key in _BY_HOST:
        return _Entry.of_host(row, allowed=_BY_HOST[key])
    return _Entry.of_request(row)


def _text(row: dict[str, Any], key: str) -> str:
    return str(row.get(key) or "")


def _line(entry: _Entry) -> dict[str, Any] | None:
    """Return the line that an egress proxy of ours would have written; `None` when too little is known."""
    address = entry.address if "://" in entry.address else f"//{entry.address}"
    with suppress(ValueError, OverflowError):
        parts = urlsplit(address)
        at = datetime.fromisoformat(entry.at).astimezone(UTC).isoformat()
        if parts.hostname:
            return {
                "at": at,
                "host": "localhost" if parts.hostname == "host.docker.internal" else parts.hostname,
                "port": parts.port or _PORTS.get(parts.scheme, network.HTTPS_PORT),
                "allowed": entry.allowed,
                "reason": "open" if entry.allowed else entry.reason or "not listed",
                "count": entry.count,
            }
    return None


def _is_asked_for(line: dict[str, Any], model: str) -> bool:
    """Return whether a line is about more than the model's own way, which nobody listed."""
    return not line["allowed"] or f"{line['host']}:{line['port']}" != model


def _write(folder: Path, lines: list[dict[str, Any]]) -> None:
    lines = sorted(lines, key=lambda line: datetime.fromisoformat(line["at"]))
    descriptor = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(json.dumps({"id": str(n)} | line) + "\n" for n, line in enumerate(lines))
