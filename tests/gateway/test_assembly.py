"""A streamed answer and the message that it carries are the same thing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import Usage
from ccnb.gateway.assembly import OddStreamError, assemble, events_of
from ccnb.gateway.messages import to_events
from ccnb.gateway.meter import Meter

texts = st.text(st.characters(exclude_categories=["Cs"]))
inputs = st.dictionaries(texts, st.integers() | texts | st.lists(texts, max_size=2), max_size=3)
cites = st.lists(
    st.fixed_dictionaries({"type": st.just("page"), "cited_text": texts}), min_size=1, max_size=2
)


def block(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


blocks = st.one_of(
    block("text", text=texts),
    block("text", text=texts, citations=cites),
    block("thinking", thinking=texts, signature=texts),
    block("redacted_thinking", data=texts),
    block("tool_use", id=texts, name=texts, input=inputs),
    block("server_tool_use", id=texts, name=texts, input=inputs),
    block("web_search_tool_result", tool_use_id=texts, content=st.lists(inputs, max_size=2)),
)
counts = st.integers(0, 10**6)
messages = st.fixed_dictionaries(
    {
        "id": texts,
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": texts,
        "content": st.lists(blocks, max_size=4),
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "max_tokens"]),
        "stop_sequence": st.none() | texts,
        "usage": st.fixed_dictionaries(dict.fromkeys(Usage.__slots__, counts)),
    },
    optional={"context_management": inputs},
)


@given(messages)
def test_a_message_survives_the_way_there_and_back(message: dict[str, Any]) -> None:
    assert assemble(events_of(b"".join(to_events(message)))) == message


@given(messages, st.data())
def test_the_meter_reads_the_same_from_any_chunks(message: dict[str, Any], data: Any) -> None:
    stream = b"".join(to_events(message))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    meter = Meter(streams=True)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        meter.feed(stream[start:end])
    assert meter.usage == Usage(**message["usage"])
    assert meter.ended


def test_the_meter_is_not_fooled_by_what_is_said() -> None:
    meter = Meter(streams=True)
    said = {
        "type": "content_block_delta",
        "delta": {"text": 'message_stop {"type":"message_stop"}', "usage": 1},
    }
    meter.feed(b"data: " + json.dumps(said).encode() + b"\n\n")
    assert not meter.ended
    assert meter.usage is None


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"data: {", b"data: []\n", b"[]", b"\xff\n", b"<html>"])
def test_the_meter_takes_anything(content: bytes, *, streams: bool) -> None:
    meter = Meter(streams=streams)
    meter.feed(content)
    meter.finish()
    assert meter.usage is None


def test_the_meter_keeps_no_more_than_it_must() -> None:
    for streams in (True, False):
        meter = Meter(streams=streams)
        for _ in range(40):
            meter.feed(b"x" * (1 << 20))
        assert len(meter._rest) <= 16 << 20
        meter.feed(b'\ndata: {"type":"message_stop"}\n')
        assert meter.ended == streams


STREAM = b"".join(to_events({"content": [{"type": "text", "text": "Hi"}], "usage": {"output_tokens": 3}}))


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        STREAM.replace(b"message_stop", b"ping"),
        STREAM.replace(b"text_delta", b"odd_delta"),
        STREAM.replace(b'"type":"ping"', b'"type":"error"'),
        STREAM.replace(b'"index":0', b'"index":1', 1),
        b"data: [1]\n",
        b"data: {\n",
        b'data: {"no": "type"}\n',
    ],
)
def test_what_makes_no_message_is_refused(stream: bytes) -> None:
    with pytest.raises(OddStreamError):
        assemble(events_of(stream))
