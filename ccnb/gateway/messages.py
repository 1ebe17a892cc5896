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
    message = _message(answer, [_block(block) for block in answer.blocks], answer.stop_reason)
    message["usage"] = _usage(answer.usage.input_tokens, answer.usage.output_tokens)
    return _dump(message)


def to_sse(answer: Answer) -> Iterator[bytes]:
    """Yield the events of a streamed call, one chunk of bytes each."""
    start = _message(answer, [], None)
    start["usage"] = _usage(answer.usage.input_tokens, 1)
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    for index, block in enumerate(answer.blocks):
        yield _event({"type": "content_block_start", "index": index, "content_block": _empty(block)})
        for delta in _deltas(block):
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    yield _event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": answer.stop_reason, "stop_sequence": None},
            "usage": {"output_tokens": answer.usage.output_tokens},
        }
    )
    yield _event({"type": "message_stop"})


def error_body(status: int, message: str, request_id: str) -> bytes:
    """Return the JSON body of a refused or failed call."""
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return _dump({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})


def error_headers(request_id: str, retry_after_s: float | None = None) -> dict[str, str]:
    """Return the headers that go with an error."""
    headers = {**JSON_HEADERS, "request-id": request_id}
    if retry_after_s is not None:
        headers["retry-after"] = f"{retry_after_s:g}"
    return headers


def rough_tokens(text: str) -> int:
    """Estimate the tokens of a text: one for every four characters, never none."""
    return max(1, math.ceil(len(text) / 4))


def _message(answer: Answer, content: list[Any], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Thinking(thinking):
            return {"type": "thinking", "thinking": thinking, "signature": block.signature}
        case ToolUse(id_, name, input_):
            return {"type": "tool_use", "id": id_, "name": name, "input": dict(input_)}


def _empty(block: Block) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": ""}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolUse(id_, name, _):
            return {"type": "tool_use", "id": id_, "name": name, "input": {}}


def _deltas(block: Block) -> Iterator[dict[str, str]]:
    match block:
        case Text(text):
            for piece in _pieces(text):
                yield {"type": "text_delta", "text": piece}
        case Thinking(thinking):
            for piece in _pieces(thinking):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block.signature}
        case ToolUse(_, _, input_):
            yield {"type": "input_json_delta", "partial_json": ""}
            for piece in _pieces(json.dumps(dict(input_))):
                yield {"type": "input_json_delta", "partial_json": piece}


def _pieces(text: str) -> Iterator[str]:
    """Cut a text into a few pieces, as a stream would bring it."""
    size = max(_PIECE, math.ceil(len(text) / _MOST_PIECES))
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: ".encode() + _dump(data) + b"\n\n"


def _dump(data: Mapping[str, Any]) -> bytes:
    # ASCII escapes: half a surrogate pair survives, and no line separator of Unicode can end a data line.
    return json.dumps(data, separators=(",", ":")).encode()
