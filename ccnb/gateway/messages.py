"""Answers of the Messages API as bytes: streamed events, JSON bodies, and errors.

Formats: https://docs.claude.com/en/api/messages, .../messages-streaming and .../errors.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}
SSE_HEADERS: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}

_PIECE = 24
_MOST_PIECES = 32

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Text:
    """What the model says."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """What the model thinks before it answers."""

    thinking: str

    @property
    def signature(self) -> str:
        """The proof of origin that the API demands; the same for the same thought."""
        return base64.b64encode(hashlib.sha256(self.thinking.encode(errors="replace")).digest()).decode()


@dataclass(frozen=True)
class ToolUse:
    """A tool that the model asks the agent to use."""

    id: str
    name: str
    input: Mapping[str, Any]


Block: TypeAlias = Text | Thinking | ToolUse


@dataclass(frozen=True)
class Usage:
    """The tokens of one call."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Answer:
    """One whole message of the model."""

    id: str
    model: str
    blocks: tuple[Block, ...]
    usage: Usage

    @property
    def stop_reason(self) -> str:
        """Why the model ended: to have a tool used, or because it was done."""
        return "tool_use" if any(isinstance(block, ToolUse) for block in self.blocks) else "end_turn"


def to_json(answer: Answer) -> bytes:
    """Return the body of a call that does not stream."""
    return dump(_message(answer))


def to_sse(answer: Answer) -> Iterator[bytes]:
    """Yield the events of a streamed call, one chunk of bytes each."""
    return to_events(_message(answer))


def to_events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the events that carry a message, in the API's own form, one chunk of bytes each."""
    usage, ended = message.get("usage") or {}, ("stop_reason", "stop_sequence")
    start = {**message, "content": [], **dict.fromkeys(ended), "usage": {**usage, "output_tokens": 1}}
    start.pop("context_management", None)
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    for index, block in enumerate(message.get("content") or ()):
        yield _event({"type": "content_block_start", "index": index, "content_block": _empty(block)})
        for delta in _deltas(block):
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    # What the API says at the end only.
    late = {name: message[name] for name in ("context_management",) if name in message}
    delta = {name: message.get(name) for name in ended}
    yield _event({"type": "message_delta", "delta": delta, "usage": dict(usage), **late})
    yield _event({"type": "message_stop"})


def error_body(status: int, message: str, request_id: str) -> bytes:
    """Return the JSON body of a refused or failed call."""
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return dump({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})


def error_headers(request_id: str, retry_after_s: float | None = None) -> dict[str, str]:
    """Return the headers that go with an error."""
    headers = {**JSON_HEADERS, "request-id": request_id}
    if retry_after_s is not None:
        headers["retry-after"] = f"{retry_after_s:g}"
    return headers


def rough_tokens(text: str) -> int:
    """Estimate the tokens of a text: one for every four characters, never none."""
    return max(1, math.ceil(len(text) / 4))


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [_block(block) for block in answer.blocks],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.usage.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.usage.output_tokens,
        },
    }


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(thinking):
            return {"type": "thinking", "thinking": thinking, "signature": block.signature}
        case ToolUse(id_, name, input_):
            return {"type": "tool_use", "id": id_, "name": name, "input": dict(input_)}


_TEXTS = {"text": "text_delta", "thinking": "thinking_delta"}


def _empty(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block as it begins; one of a kind that doesn't grow is all there at once."""
    kind = block.get("type")
    begun = dict(block)
    begun.pop("citations", None)
    if kind in _TEXTS:
        begun[kind] = ""
    if kind == "thinking":
        begun["signature"] = ""
    if _has_input(block):
        begun["input"] = {}
    return begun


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = str(block.get("type"))
    if kind in _TEXTS:
        for piece in _pieces(block[kind]):
            yield {"type": _TEXTS[kind], kind: piece}
    if kind == "thinking":
        yield {"type": "signature_delta", "signature": block.get("signature", "")}
    if _has_input(block):
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in _pieces(json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}
    for citation in block.get("citations") or ():
        yield {"type": "citations_delta", "citation": citation}


def _has_input(block: Mapping[str, Any]) -> bool:
    return str(block.get("type")).endswith("tool_use") and "input" in block


def _pieces(text: str) -> Iterator[str]:
    """Cut a text into a few pieces, as a stream would bring it."""
    size = max(_PIECE, math.ceil(len(text) / _MOST_PIECES))
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: ".encode() + dump(data) + b"\n\n"


def dump(data: Mapping[str, Any]) -> bytes:
    """Return JSON as one line of bytes."""
    # ASCII escapes: half a surrogate pair survives, and no line separator of Unicode can end a data line.
    return json.dumps(data, separators=(",", ":")).encode()
