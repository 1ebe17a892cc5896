"""Events say what the agent's messages hold, however odd these are."""

from __future__ import annotations

import dataclasses
import pickle
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import ApiRetry, Event, ToolResult, ToolUse, Usage

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts)
texts = st.text(max_size=20)


def event(raw, kind=None):
    return Event(kind or raw.get("type", "unknown"), raw.get("subtype"), NOW, 0, raw)


@given(usages, usages, usages)
def test_usage_adds_up(one, two, three):
    assert one + Usage() == one
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert (one + two).total_tokens == one.total_tokens + two.total_tokens


class TestEventTime:
    @pytest.mark.parametrize(
        ("stamp", "at"),
        [
            ("2026-05-06T07:08:09.123Z", datetime(2026, 5, 6, 7, 8, 9, 123000, UTC)),
            ("2026-05-06T07:08:09+02:00", datetime(2026, 5, 6, 5, 8, 9, 0, UTC)),
            ("2026-05-06T07:08:09", datetime(2026, 5, 6, 7, 8, 9, 0, UTC)),
            ("yesterday", NOW),
            ("0001-01-01T00:00:00+23:59", NOW),
            (17, NOW),
            (None, NOW),
        ],
    )
    def test_is_the_agents_own_where_it_gives_one_else_the_arrival(self, stamp, at):
        seen = event({"type": "user", "timestamp": stamp}).at
        assert seen == at
        assert seen.utcoffset() == timedelta(0)

    @given(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))))
    def test_is_always_utc(self, stamp):
        assert event({"type": "user", "timestamp": stamp.isoformat()}).at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("stamp", ["2026-05-06T07:08:09", "2026-05-06T09:08:09+02:00"])
    def test_does_not_depend_on_where_the_machine_is(self, stamp, monkeypatch):
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            seen = event({"type": "user", "timestamp": stamp}).at
            assert (seen, seen.utcoffset()) == (datetime(2026, 5, 6, 7, 8, 9, 0, UTC), timedelta(0))
        finally:
            monkeypatch.undo()
            time.tzset()


class TestEventView:
    def test_of_an_assistants_blocks(self):
        seen = event(
            {
                "type": "assistant",
                "session_id": "s",
                "parent_tool_use_id": "p",
                "message": {
                    "id": "msg_1",
                    "model": "m",
                    "usage": {"input_tokens": 3, "output_tokens": 4, "service_tier": "x"},
                    "content": [
                        {"type": "thinking", "thinking": "Hm."},
                        {"type": "text", "text": "Now "},
                        {"type": "text", "text": "then."},
                        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
                        {"type": "new_kind", "x": 1},
                    ],
                },
            }
        )
        assert (seen.text, seen.thinking) == ("Now then.", "Hm.")
        assert seen.tool_uses == [ToolUse("t1", "Bash", {"command": "ls"})]
        assert (seen.message_id, seen.model, seen.session_id, seen.parent_tool_use_id) == (
            "msg_1",
            "m",
            "s",
            "p",
        )
        assert seen.usage == Usage(3, 4)

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("plain", "plain"),
            ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "a\nb"),
            (None, ""),
        ],
    )
    def test_of_a_tools_result(self, content, text):
        block = {"type": "tool_result", "tool_use_id": "t1", "content": content, "is_error": True}
        seen = event({"type": "user", "message": {"role": "user", "content": [block]}})
        assert seen.tool_results == [ToolResult("t1", text, is_error=True)]

    def test_of_a_prompt_that_is_a_string(self):
        assert event({"type": "user", "message": {"content": "Do it."}}).text == "Do it."

    def test_of_a_result(self):
        seen = event({"type": "result", "result": "Done.", "usage": {"output_tokens": 9}})
        assert (seen.text, seen.usage) == ("Done.", Usage(output_tokens=9))

    def test_of_a_retry(self):
        raw = {
            "attempt": 2,
            "max_retries": 10,
            "retry_delay_ms": 603,
            "error_status": 429,
            "error": "rate_limit",
        }
        seen = event({"type": "system", "subtype": "api_retry", **raw})
        assert seen.retry == ApiRetry(2, 10, 0.603, 429, "rate_limit")

    def test_of_a_refused_tool(self):
        seen = event({"type": "system", "subtype": "permission_denied", "tool_name": "Bash"})
        assert seen.denied_tool == "Bash"

    def test_of_partial_messages_and_rate_limits(self):
        assert event({"type": "stream_event", "event": {"type": "ping"}}).delta == {"type": "ping"}
        assert event({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}).rate_limit == {
            "status": "allowed"
        }

    def test_of_what_says_nothing_is_empty(self):
        for raw in ({"type": "result"}, {"type": "unparsed"}, {"type": "user"}, {"type": "assistant"}):
            seen = event(raw)
            assert (seen.text, seen.thinking, seen.tool_uses, seen.tool_results) == ("", "", [], [])
            assert seen.usage is None
            assert (seen.message_id, seen.model, seen.session_id, seen.denied_tool) == (None,) * 4
            assert (seen.delta, seen.rate_limit) == ({}, {})

    def test_of_several_texts_and_thoughts_is_one_text_each(self):
        blocks = [{"type": kind, kind: word} for kind in ("text", "thinking") for word in ("a", "b")]
        seen = event({"type": "assistant", "message": {"content": blocks}})
        assert (seen.text, seen.thinking) == ("ab", "ab")

    def test_of_a_prompt_that_is_a_string_is_no_thinking_and_no_tool(self):
        seen = event({"type": "user", "message": {"content": "Do it."}})
        assert (seen.thinking, seen.tool_uses, seen.tool_results) == ("", [], [])

    def test_of_a_retry_that_gives_no_reason(self):
        raw = {"type": "system", "subtype": "api_retry", "retry_delay_ms": "soon", "error_status": "x"}
        assert event(raw).retry == ApiRetry(0, 0, 0.0, None, "")

    @pytest.mark.parametrize("odd", [float("nan"), float("inf"), "7", None, [7]])
    def test_of_a_number_that_is_none_is_nought(self, odd):
        raw = {"attempt": odd, "max_retries": odd, "retry_delay_ms": odd, "usage": {"input_tokens": odd}}
        assert event({"type": "system", "subtype": "api_retry", **raw}).retry == ApiRetry(0, 0, 0.0, None, "")
        assert event({"type": "result", **raw}).usage == Usage()

    def test_of_words_that_stand_in_other_kinds_of_message_is_nothing(self):
        raw = {"type": "newer", "subtype": "newer", "tool_name": "Bash", "event": {"x": 1}, "attempt": 3}
        seen = event(raw)
        assert (seen.denied_tool, seen.delta, seen.retry) == (None, {}, None)

    def test_of_fields_of_another_type_is_nothing(self):
        message = {"content": {"type": "text"}, "usage": 5}
        seen = event({"type": "assistant", "session_id": 7, "message": message})
        assert (seen.session_id, seen.text, seen.usage) == (None, "", None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3),
    max_leaves=8,
)
KINDS = ["system", "assistant", "user", "result", "stream_event", "rate_limit_event", "unparsed", "newer"]
keys = st.sampled_from(
    [
        "message",
        "usage",
        "timestamp",
        "result",
        "text",
        "session_id",
        "event",
        "attempt",
        "retry_delay_ms",
        "error_status",
    ]
)
contents = st.fixed_dictionaries(
    {
        "content": json_values
        | st.lists(
            st.dictionaries(
                st.sampled_from(["type", "text", "thinking", "id", "name", "input", "content"]), json_values
            )
            | st.fixed_dictionaries(
                {"type": st.sampled_from(["text", "thinking", "tool_use", "tool_result"])}
            ),
            max_size=3,
        ),
        "usage": st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Usage)]), json_values),
    }
)


@given(
    st.sampled_from(KINDS),
    st.sampled_from([None, "init", "api_retry", "permission_denied", "newer"]),
    st.dictionaries(keys, json_values | contents),
)
def test_no_message_is_so_odd_that_looking_at_it_fails(kind, subtype, raw):
    seen = Event(kind, subtype, NOW, 0, raw)
    for name in dir(Event):
        if not name.startswith("__"):
            getattr(seen, name)


def test_an_event_pickles():
    seen = event({"type": "user", "message": {"content": "x"}})
    assert pickle.loads(pickle.dumps(seen)) == seen
