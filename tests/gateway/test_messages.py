"""The bytes of an answer say what the answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.gateway.messages import (
    Answer,
    Block,
    Text,
    Thinking,
    ToolUse,
    Usage,
    error_body,
    error_headers,
    rough_tokens,
    to_json,
    to_sse,
)

DELTA_KEYS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}

# Half surrogates too: a script may hold any text that YAML takes.
texts = st.text(min_size=1)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(Text, texts),
    st.builds(Thinking, texts),
    st.builds(ToolUse, names, names, st.dictionaries(st.text(), values, max_size=4)),
)
counts = st.integers(min_value=0, max_value=10**9)
answers = st.builds(
    Answer, names, names, st.lists(blocks, max_size=4).map(tuple), st.builds(Usage, counts, counts)
)


def read_events(stream: bytes) -> list[dict[str, Any]]:
    """Read server-sent events as an agent does: by blank lines, each with its `event:` line."""
    events = []
    for part in stream.decode().split("\n\n")[:-1]:
        name, data = part.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def assemble(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Build the message that a stream's events describe."""
    message: dict[str, Any] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append({**event["content_block"], "json": ""})
            case "content_block_delta":
                add_delta(message["content"][event["index"]], event["delta"])
            case "content_block_stop":
                finish(message["content"][event["index"]])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def add_delta(block: dict[str, Any], delta: dict[str, str]) -> None:
    key = DELTA_KEYS[delta["type"]]
    block["json" if key == "partial_json" else key] += delta[key]


def finish(block: dict[str, Any]) -> None:
    text = block.pop("json")
    if block["type"] == "tool_use":
        block["input"] = json.loads(text)


@given(answers)
def test_a_stream_and_a_body_hold_the_same_message(answer: Answer) -> None:
    stream = b"".join(to_sse(answer))
    assert assemble(read_events(stream)) == json.loads(to_json(answer))


@given(answers)
def test_a_stream_starts_and_ends_as_the_api_says(answer: Answer) -> None:
    kinds = [event["type"] for event in read_events(b"".join(to_sse(answer)))]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(answer.blocks)


@given(answers)
def test_each_chunk_is_one_event(answer: Answer) -> None:
    assert all(len(read_events(chunk)) == 1 for chunk in to_sse(answer))


def test_a_long_text_comes_in_a_few_pieces() -> None:
    answer = Answer("msg_1", "m", (Text("x" * 100_000),), Usage(1, 1))
    assert 2 <= sum(b"text_delta" in chunk for chunk in to_sse(answer)) <= 40


def test_a_tool_use_stops_the_turn() -> None:
    used = Answer("msg_1", "m", (Text("a"), ToolUse("toolu_1", "Bash", {})), Usage(1, 1))
    assert json.loads(to_json(used))["stop_reason"] == "tool_use"
    assert json.loads(to_json(Answer("msg_1", "m", (Text("a"),), Usage(1, 1))))["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_error_names_its_kind(status: int, kind: str) -> None:
    body = json.loads(error_body(status, "why", "req_1"))
    assert body == {"type": "error", "error": {"type": kind, "message": "why"}, "request_id": "req_1"}


def test_error_headers_say_when_to_come_back() -> None:
    assert error_headers("req_1", 2.0)["retry-after"] == "2"
    assert "retry-after" not in error_headers("req_1")
    assert error_headers("req_1")["request-id"] == "req_1"


@given(st.text(), st.text())
def test_more_text_never_has_fewer_tokens(first: str, second: str) -> None:
    assert 1 <= rough_tokens(first) <= rough_tokens(first + second)
