"""Bytes to lines, lines to events, events to what is known of the run."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import Event, Usage
from ccnb.redact import Redactor
from ccnb.stream import LineSplitter, Tally, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Path(__file__).parent
# Recorded from the real agent (2.1.330) against our gateway with a script; the shared ones where they are.
STREAMS = [
    *sorted((HERE / "data" / "streams").glob("*.jsonl")),
    *sorted((HERE.parent.parent / "shared" / "contracts" / "streams").glob("*.jsonl")),
]
every_stream = pytest.mark.parametrize(
    "stream", STREAMS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}"
)


def recorded(name):
    return (HERE / "data" / "streams" / f"{name}.jsonl").read_bytes()


def lines_of(chunks, offset=0):
    splitter = LineSplitter(offset)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.flush()], splitter.offset


def events_of(data, redactor=None):
    redactor = redactor or Redactor()
    parsed = [parse(line, offset=at, arrived_at=NOW, redactor=redactor) for at, line in lines_of([data])[0]]
    return [event for event, _ in filter(None, parsed)]


def tally_of(data):
    tally = Tally()
    for event in events_of(data):
        tally.add(event)
    return tally


def chunked(data, cuts):
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


# Lines


@given(
    data=st.binary(max_size=200) | st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\xff"])).map(b"".join),
    cuts=st.lists(st.integers(0, 200)),
)
def test_any_chunking_gives_the_same_lines_at_the_same_offsets(data, cuts):
    lines, end = lines_of(chunked(data, cuts))
    assert (lines, end) == lines_of([data])
    assert end == len(data)
    for offset, line in lines:
        assert data[offset : offset + len(line)] == line
        assert b"\n" not in line
    whole = data.split(b"\n")
    assert [line for _, line in lines] == (whole if whole[-1] else whole[:-1])


@every_stream
@given(cuts=st.lists(st.integers(0, 20_000), max_size=20))
def test_any_chunking_of_a_recorded_stream_gives_the_same_events(stream, cuts):
    data = stream.read_bytes()
    parsed = [
        parse(line, offset=at, arrived_at=NOW, redactor=Redactor())
        for at, line in lines_of(chunked(data, cuts))[0]
    ]
    assert [event for event, _ in parsed] == events_of(data)


@given(data=st.lists(st.sampled_from([b"\n", b"ab", b"c"])).map(b"".join), cut=st.integers(0, 50))
def test_who_goes_on_from_the_offset_reads_the_rest_and_nothing_twice(data, cut):
    first = LineSplitter()
    lines = list(first.feed(data[:cut]))
    rest, _ = lines_of([data[first.offset :]], first.offset)
    assert lines + rest == lines_of([data])[0]


def test_a_line_that_is_cut_in_the_middle_is_given_when_the_stream_is_over():
    data = recorded("demo")
    lines, end = lines_of([data[:-50]])
    event, _ = parse(lines[-1][1], offset=lines[-1][0], arrived_at=NOW, redactor=Redactor())
    assert end == len(data) - 50
    assert event.type == "unparsed"
    assert event.text.encode() == data[event.offset : -50]


def test_a_line_of_ten_megabytes_in_small_pieces_is_read_in_linear_time():
    line = json.dumps({"type": "user", "text": "é" * 5_000_000}, ensure_ascii=False).encode()
    data = line + b"\n"
    begun = time.process_time()
    lines, _ = lines_of([data[i : i + 4096] for i in range(0, len(data), 4096)])
    event, kept = parse(lines[0][1], offset=0, arrived_at=NOW, redactor=Redactor(["not-in-there"]))
    assert time.process_time() - begun < 5  # quadratic reading takes minutes
    assert len(lines) == 1
    assert kept.encode() == line
    assert len(event.raw["text"]) == 5_000_000


def test_two_hundred_thousand_lines_take_no_more_memory_than_a_few():
    chunk = b'{"type":"stream_event","event":{"type":"content_block_delta","index":0}}\n' * 100
    splitter, tally, redactor = LineSplitter(), Tally(), Redactor(["a-secret-value"])

    def peak_of(chunks):
        tracemalloc.reset_peak()
        for _ in range(chunks):
            for offset, line in splitter.feed(chunk):
                event, _ = parse(line, offset=offset, arrived_at=NOW, redactor=redactor)
                tally.add(event)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        few, many = peak_of(20), peak_of(1980)
    finally:
        tracemalloc.stop()
    assert tally.count == 200_000
    assert many < few + 100_000


def test_what_is_remembered_of_many_messages_is_bounded():
    tally = Tally()
    for number in range(5000):
        tally.add(message(f"msg_{number}", output_tokens=1))
    assert tally.usage.output_tokens == 5000
    assert len(tally._messages) < 2000


# Events


@every_stream
def test_what_is_kept_of_a_recorded_line_is_the_line(stream):
    for offset, line in lines_of([stream.read_bytes()])[0]:
        event, kept = parse(line, offset=offset, arrived_at=NOW, redactor=Redactor())
        assert json.loads(kept) == event.raw == json.loads(line)
        assert event.type == event.raw["type"]
        assert event.offset == offset
        assert event.arrived_at == NOW


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_an_event_from_which_they_come_back(line):
    parsed = parse(line, offset=7, arrived_at=NOW, redactor=Redactor())
    if parsed is None:
        assert not line.strip()
        return
    event, kept = parsed
    assert json.loads(kept) == event.raw
    kept.encode()  # any store takes it
    if event.type == "unparsed":
        assert json.loads(kept)["text"].encode(errors="surrogateescape") == line


@given(st.binary(min_size=1, max_size=20))
def test_bytes_that_are_no_utf8_survive_inside_a_message(data):
    data = data.translate(None, bytes(range(32)) + b'"\\')
    line = b'{"type":"user","text":"' + data + b'"}'
    event, kept = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert event.type == "user"
    assert json.loads(kept)["text"].encode(errors="surrogateescape") == data
    kept.encode()  # any store takes it


@pytest.mark.parametrize("line", [b"", b"   ", b"\r", b"\t "])
def test_a_blank_line_is_no_event(line):
    assert parse(line, offset=0, arrived_at=NOW, redactor=Redactor()) is None


@pytest.mark.parametrize(
    "line",
    [
        b"npm warn something",
        b"[1, 2]",
        b"3",
        b"null",
        b'"text"',
        b'{"type": "user"',
        b'{"type": 1' + b"0" * 5000 + b"}",
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
    ids=lambda line: line[:12].decode(),
)
def test_a_line_that_is_no_json_object_is_kept_as_text(line):
    event, _ = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert (event.type, event.subtype, event.text) == ("unparsed", None, line.decode())


@pytest.mark.parametrize("depth", range(100, 1000, 60))
def test_no_depth_of_nesting_ends_the_reading(depth):
    line = b'{"type":"user","a":' + b"[" * depth + b'"\\u0041"' + b"]" * depth + b"}"
    event, _ = parse(line, offset=0, arrived_at=NOW, redactor=Redactor(["a-secret-value"]))
    assert event.type in ("user", "unparsed")


@pytest.mark.parametrize(
    ("line", "kind", "subtype"),
    [
        (b'{"subtype":"s","x":1,"type":"result"}', "result", "s"),
        (b'{"type":"brand_new","subtype":"thing"}', "brand_new", "thing"),
        (b'{"type":5,"subtype":[]}', "unknown", None),
        (b"{}", "unknown", None),
        (b'{"type":"bad\xff","subtype":"\\ud800"}', "bad?", "?"),
    ],
)
def test_unknown_kinds_are_kept_and_no_order_is_assumed(line, kind, subtype):
    event, _ = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert (event.type, event.subtype) == (kind, subtype)


# What is known of the run


def at(seconds):
    return (NOW + timedelta(seconds=seconds)).isoformat()


def message(message_id, *content, when=0.0, **usage):
    body = {"id": message_id, "content": list(content), "usage": usage}
    raw = {"type": "assistant", "message": body, "timestamp": at(when)}
    return Event("assistant", None, NOW, 0, raw)


def use(tool_id):
    return {"type": "tool_use", "id": tool_id, "name": "Bash", "input": {}}


def result_of(tool_id, when):
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": ""}
    return Event("user", None, NOW, 0, {"message": {"content": [block]}, "timestamp": at(when)})


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1000), st.integers(0, 1000)), max_size=12))
def test_usage_is_counted_once_per_message_whose_latest_word_stands(events):
    tally = Tally()
    latest = {}
    for name, put, got in events:
        tally.add(message(name, input_tokens=put, output_tokens=got))
        latest[name] = Usage(put, got)
    assert tally.usage == sum(latest.values(), Usage())


def test_the_agents_own_sum_wins_when_there_is_one():
    tally = tally_of(recorded("demo"))
    assert tally.final_usage == tally.result.usage
    tally.result = None
    assert tally.final_usage == tally.usage


@pytest.mark.parametrize("name", ["demo", "parallel", "denied", "overloaded", "partial"])
def test_our_own_count_of_a_recorded_run_is_the_agents(name):
    tally = tally_of(recorded(name))
    ours, its = tally.usage, tally.result.usage
    assert ours.input_tokens == its.input_tokens
    assert ours.cache_read_input_tokens == its.cache_read_input_tokens
    # A message's events are written before it is complete, so its output is known from below only.
    assert 0 < ours.output_tokens <= its.output_tokens


def test_a_recorded_run_is_summed_up():
    tally = tally_of(recorded("demo"))
    assert tally.model == "claude-sonnet-5-5"
    assert tally.agent_version == "2.1.330"
    assert tally.session_id == tally.result.session_id
    assert tally.text == tally.result.text
    assert tally.result.subtype == "success"
    assert tally.count == len(recorded("demo").splitlines())
    assert not tally.open_tools
    assert tally.denials == []
    assert 0 < tally.tools_s < 30


def test_refused_tools_are_named():
    assert tally_of(recorded("denied")).denials == ["Bash"]


def test_an_api_that_refuses_is_named():
    assert tally_of(recorded("refused")).api_error == "authentication_failed"
    assert tally_of(recorded("unknown_model")).api_error == "model_not_found"


def test_a_retry_is_waited_for_until_something_else_comes():
    tally = Tally()
    seen = []
    for event in events_of(recorded("overloaded")):
        tally.add(event)
        seen.append((event.subtype, tally.retry_status))
    assert [status for subtype, status in seen if subtype == "api_retry"] == [529]
    assert tally.retry_status is None


def test_a_stream_that_is_cut_off_has_what_came_before():
    tally = tally_of(recorded("terminated"))
    assert tally.result is None
    assert tally.text == "Working."
    assert tally.session_id
    cut = tally_of(recorded("demo")[:-200])
    assert cut.result is None
    assert cut.text == tally_of(recorded("demo")).text


def test_tools_that_run_at_once_count_once():
    tally = Tally()
    for event in (
        message("m", use("a"), when=1),
        message("m", use("b"), when=2),
        result_of("a", 4),
        result_of("b", 7),
        message("n", use("c"), when=10),
        result_of("c", 11),
    ):
        tally.add(event)
    assert tally.tools_s == pytest.approx(6 + 1)
    assert tally.open_tools == {}


@given(st.lists(st.tuples(st.sampled_from(["use", "result"]), st.sampled_from("abc"), st.integers(-50, 50))))
def test_no_order_of_tools_and_times_makes_a_time_negative(steps):
    tally = Tally()
    for kind, tool, when in steps:
        tally.add(message("m", use(tool), when=when) if kind == "use" else result_of(tool, when))
    assert tally.tools_s >= 0


def test_the_first_event_is_timed_by_the_agents_clock():
    tally = Tally()
    tally.add(Event("system", "init", NOW + timedelta(seconds=100), 0, {}))
    tally.add(message("m", when=3))
    assert tally.first_at == NOW + timedelta(seconds=3)


def test_of_no_event_nothing_is_known():
    tally = Tally()
    assert (tally.count, tally.usage, tally.text, tally.denials, tally.tools_s) == (0, Usage(), "", [], 0.0)
    for nothing in (
        tally.session_id,
        tally.model,
        tally.agent_version,
        tally.first_at,
        tally.result,
        tally.api_error,
        tally.retry_status,
    ):
        assert nothing is None


def test_a_splitter_goes_on_after_its_stream_was_thought_over():
    splitter = LineSplitter()
    assert list(splitter.feed(b"ab")) == []
    assert list(splitter.flush()) == [(0, b"ab")]
    assert list(splitter.flush()) == []
    assert list(splitter.feed(b"c\n")) == [(2, b"c")]


def test_the_earliest_time_is_the_first_whatever_comes_first():
    tally = Tally()
    for when in (5, 3, 8):
        tally.add(message("m", when=when))
    assert tally.first_at == NOW + timedelta(seconds=3)


def test_the_last_text_of_the_agent_itself_stands_also_when_the_result_has_none():
    tally = Tally()
    tally.add(message("m", {"type": "text", "text": "First."}))
    tally.add(message("n", {"type": "text", "text": "Last."}))
    tally.add(message("o"))
    sub_agent = {"message": {"content": "Aside."}, "parent_tool_use_id": "t"}
    tally.add(Event("assistant", None, NOW, 0, sub_agent))
    tally.add(Event("result", "success", NOW, 0, {}))
    assert tally.text == "Last."
    tally.add(Event("result", "success", NOW, 0, {"result": "Done."}))
    assert tally.text == "Done."


def test_words_of_another_type_are_no_version_and_no_error():
    tally = Tally()
    tally.add(Event("system", "init", NOW, 0, {"claude_code_version": "2.1", "model": "m"}))
    tally.add(Event("system", "init", NOW, 0, {"claude_code_version": 3}))
    tally.add(Event("assistant", None, NOW, 0, {"error": {"type": "x"}}))
    assert (tally.agent_version, tally.model, tally.api_error) == ("2.1", "m", None)


def test_tokens_of_a_message_without_an_id_are_not_counted():
    tally = Tally()
    for _ in range(2):
        tally.add(message(None, output_tokens=5))
    assert tally.usage == Usage()


def test_of_many_messages_the_latest_are_remembered():
    tally = Tally()
    for number in range(5000):
        tally.add(message(f"msg_{number}", output_tokens=1))
    tally.add(message("msg_4999", output_tokens=3))
    tally.add(message("msg_4900", output_tokens=3))
    assert tally.usage.output_tokens == 5004


def test_a_tool_that_takes_no_time_or_ends_before_it_began_counts_nothing():
    tally = Tally()
    for begin, end in ((5, 5), (9, 7)):
        tally.add(message("m", use("a"), when=begin))
        tally.add(result_of("a", end))
    assert tally.tools_s == 0.0
    tally.add(result_of("a", 50))
    assert tally.tools_s == 0.0


def test_an_escape_that_hides_nothing_leaves_the_message_as_it_is():
    line = b'{"type":"user","text":"a\\/b \\u00e9"}'
    event, kept = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert event.raw == json.loads(kept) == {"type": "user", "text": "a/b é"}


def test_a_token_behind_an_escaped_slash_goes_too():
    line = b'{"type":"user","text":"sk-ant-oat01-abcdefghijklmnopqrstu","u":"http:\\/\\/x"}'
    event, _ = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert event.raw == {"type": "user", "text": "[redacted]", "u": "http://x"}
