"""The platform's log service: loses, repeats, splits and delays lines, and gives a hundred of them."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime
from uuid import uuid4


class Lines:
    def __init__(self) -> None:
        self._entries: list[tuple[float, int, dict]] = []
        """When it may be seen, its time in nanoseconds, and itself."""
        self._random = random.Random(1)  # noqa: S311 - no secret
        self._lock = threading.Lock()

    def take(self, machine: str, region: str, text: str, settings) -> None:
        """Take what a machine printed."""
        for line in text.splitlines():
            for start in range(0, max(1, len(line)), settings.split):
                self._take(machine, region, line[start : start + settings.split], settings)

    def _take(self, machine: str, region: str, line: str, settings) -> None:
        with self._lock:
            if self._random.random() < settings.drop:
                return
            times = 2 if self._random.random() < settings.repeat else 1
            for _ in range(times):
                now = time.time_ns()
                seen_at = time.time() + self._random.random() * settings.delay_s
                self._entries.append((seen_at, now, _entry(machine, region, line, now)))

    def page(self, token: str, machine: str | None) -> dict:
        """Return the latest hundred, or up to a hundred after a token."""
        with self._lock:
            found = [
                (at, entry)
                for seen_at, at, entry in self._entries
                if seen_at <= time.time() and machine in (None, entry["attributes"]["instance"])
            ]
        after = [(at, entry) for at, entry in found if at > int(token)][:100] if token else found[-100:]
        last = str(after[-1][0]) if after else token
        return {"data": [entry for _, entry in after], "meta": {"next_token": last}}


def _entry(machine: str, region: str, line: str, at: int) -> dict:
    return {
        "id": uuid4().hex,
        "type": "log",
        "attributes": {
            "timestamp": datetime.fromtimestamp(at / 1e9, UTC).isoformat().replace("+00:00", "Z"),
            "message": line,
            "level": "info",
            "instance": machine,
            "region": region,
            "meta": {"instance": machine, "region": region, "event": {"provider": "app"}},
        },
    }
