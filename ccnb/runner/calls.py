"""The model calls of a run, from the lines that the gateway wrote of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ccnb.gateway.registration import CALLS_FILE
from ccnb.store import RunFolder


def read(folder: RunFolder) -> list[dict[str, Any]]:
    """Return a run's calls in the order in which they ended; none where the gateway had no part.

    Each gets `retries`: how often in a row the same request had failed before it.
    """
    try:
        text = (folder.path / CALLS_FILE).read_text()
    except FileNotFoundError:
        return []
    failures: Counter[str] = Counter()
    calls = []
    for line in text.splitlines():
        call = _parsed(line)
        if call is None:
            continue
        request = str(call.pop("request", ""))
        at = datetime.fromisoformat(call["at"])
        calls.append({**call, "at": at, "retries": failures[request]})
        if _failed(call):
            failures[request] += 1
        else:
            del failures[request]
    return calls


def unpriced(calls: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the models, each once, of the calls that used tokens and have no known price."""
    used = (call for call in calls if call.get("output_tokens") is not None and call.get("cost_usd") is None)
    return list(dict.fromkeys(str(call.get("model")) for call in used))


def _failed(call: dict[str, Any]) -> bool:
    return call.get("status") != 200 or call.get("end") != "complete"


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        # A machine that went down in mid-line.
        return None
    return value if isinstance(value, dict) and "at" in value else None
