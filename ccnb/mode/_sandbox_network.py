"""A closed network of a sandbox: the rules of Docker's proxy, and what it wrote down, as a run's log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ccnb import network
from ccnb.mode._sandbox_call import first_json
from ccnb.spec import RunSpec

_MODEL = "api.anthropic.com:443"
_LOG = "network.jsonl"
"""The same file, with the same lines, as the egress proxy of other modes writes."""
_PORTS = {"http": 80, "https": 443}
_LISTS = ("entries", "logs", "requests")


def hosts(spec: RunSpec, gateway: str | None) -> list[str]:
    """Return what a sandbox may reach, each with its port: its list, and the one way to the model."""
    listed = [
        f"{'*.' if rule.subdomains else ''}{rule.host}:{rule.port}" for rule in network.rules(spec.hosts)
    ]
    return [*listed, gateway or _MODEL]


def write_log(folder: Path, output: bytes, name: str, gateway: str | None) -> None:
    """Write down what a sandbox's proxy says that was asked for; the model's own way is left out."""
    lines = [
        json.dumps({"id": str(number), **line})
        for number, line in enumerate(_lines(output, name))
        if f"{line['host']}:{line['port']}" != (gateway or _MODEL)
    ]
    descriptor = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{line}\n" for line in lines)


def _lines(output: bytes, name: str) -> Iterator[dict[str, Any]]:
    value = first_json(output) or {}
    entries: list[Any] = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), [])
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("sandbox", name) != name:
            continue
        url = str(entry.get("url") or "")
        parts = urlsplit(url if "://" in url else f"//{url}")
        at, action = entry.get("timestamp"), str(entry.get("action") or "")
        if not parts.hostname or not at:
            continue
        allowed = action.startswith("allow")
        host = "localhost" if parts.hostname == "host.docker.internal" else parts.hostname
        yield {
            "at": str(at).replace("Z", "+00:00"),
            "host": host,
            "port": parts.port or _PORTS.get(parts.scheme, 443),
            "allowed": allowed,
            "reason": "open" if allowed else "not listed",
        }
