"""From the events of a streamed answer to the message that they carry.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming. `messages.to_events` is the way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""Deltas that lengthen a text of their block, and its name."""


class OddStreamError(ValueError):
    """The events make no message that we could give back as it was."""


def events_of(stream: bytes) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream's bytes.

    Raises
    ------
    OddStreamError
        One is no JSON object.
    """
    for line in stream.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                raise OddStreamError("an event is no JSON") from None
            if not isinstance(event, dict):
                raise OddStreamError("an event is no object")
            yield event


def assemble(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the message of a stream that came to its end.

    Raises
    ------
    OddStreamError
        It did not, or it has something in it that is not known here.
    """
    message: dict[str, Any] = {}
    blocks: dict[int, _Block] = {}
    try:
        for event in events:
            match event["type"]:
                case "message_start":
                    message = dict(event["message"])
                case "content_block_start":
                    blocks[event["index"]] = _Block(event["content_block"])
                case "content_block_delta":
                    blocks[event["index"]].add(event["delta"])
                case "message_delta":
                    _end(message, event)
                case "message_stop":
                    message["content"] = [blocks[index].whole() for index in sorted(blocks)]
                    return message
                case "ping" | "content_block_stop":
                    pass
                case other:
                    raise OddStreamError(f"an event of type {other}")
    except (KeyError, TypeError, ValueError) as error:
        raise OddStreamError(str(error)) from None
    raise OddStreamError("no end")


class _Block:
    """One block of a message, as it grows."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._block = dict(start)
        self._input = ""

    def add(self, delta: Mapping[str, Any]) -> None:
        kind = delta["type"]
        if kind in _TEXTS:
            name = _TEXTS[kind]
            self._block[name] = self._block.get(name, "") + delta[name]
        elif kind == "input_json_delta":
            self._input += delta["partial_json"]
        elif kind == "citations_delta":
            self._block["citations"] = [*(self._block.get("citations") or ()), delta["citation"]]
        else:
            raise OddStreamError(f"a delta of type {kind}")

    def whole(self) -> dict[str, Any]:
        return self._block | ({"input": json.loads(self._input)} if self._input else {})


def _end(message: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Take in what is known of the message at its end; counts that are not named keep their first value."""
    usage = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
    more = {name: value for name, value in event.items() if name not in ("type", "delta", "usage")}
    message |= {**more, **event["delta"], "usage": {**(message.get("usage") or {}), **usage}}
