"""Read an answer as it goes by: the tokens that it used and whether it has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ccnb.events import Usage

_LONGEST_LINE = 1 << 20
_LONGEST_BODY = 16 << 20
"""An answer's usage is read from no more than this; what is longer goes by unread."""

_WORDS = (b"message_start", b"message_delta", b"message_stop", b'"error"')


class Meter:
    """Watches the bytes of one answer. They are never kept beyond a line, or a body that is no stream."""

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams
        self._rest = bytearray()
        self._limit = _LONGEST_LINE if streams else _LONGEST_BODY
        self._skips = False
        self._counts: dict[str, Any] = {}
        self.ended = False
        """Whether the message has ended; only a stream says so."""
        self.error: str | None = None
        """The type of an error that came in the middle of a stream."""

    @property
    def counts(self) -> Mapping[str, Any]:
        """Return the API's own `usage` as far as it is known."""
        return self._counts

    @property
    def usage(self) -> Usage | None:
        """Return the tokens, if the answer has named any."""
        return Usage.from_api(self._counts) if self._counts else None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes into account."""
        if not self._streams:
            self._keep(chunk)
            return
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._keep(line)
            self._line()
        self._keep(rest)

    def finish(self) -> None:
        """Say that no more bytes come."""
        if self._streams or self._skips:
            return
        body = _load(bytes(self._rest))
        self._rest.clear()
        self._count(body)

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > self._limit:
            self._skips = True
            self._rest.clear()
        elif not self._skips:
            self._rest += piece

    def _line(self) -> None:
        """Read a whole line of a stream; only a few kinds of events are worth a parse."""
        line, skips = bytes(self._rest), self._skips
        self._rest.clear()
        self._skips = False
        if skips or not line.startswith(b"data:"):
            return
        # The type comes first in the API's own events, and near the start in any.
        head = line[:200]
        if any(word in head for word in _WORDS):
            self._event(_load(line[5:]))

    def _event(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self._count(event.get("message"))
            case "message_delta":
                self._count(event)
            case "message_stop":
                self.ended = True
            case "error":
                error = event.get("error")
                self.error = str(error.get("type")) if isinstance(error, Mapping) else "error"

    def _count(self, message: object) -> None:
        usage = message.get("usage") if isinstance(message, Mapping) else None
        if isinstance(usage, Mapping):
            # The counts of a stream's end stand for the whole; what it doesn't name keeps its first value.
            self._counts |= {name: value for name, value in usage.items() if value is not None}


def _load(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}
