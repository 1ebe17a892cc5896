"""Requests are the same by what they say, whatever the day, the machine and the folder."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.gateway.matching import (
    RULES,
    Paths,
    difference,
    key_of,
    likeness,
    request_of,
    same_text,
)
from ccnb.redact import Redactor

HERE = Paths("/workspace", "/ccnb")
THERE = Paths("/home/ada/it's mine/task", "/var/lib/ccnb/runs/r1/inside")
NOBODY = Redactor()


def request(paths: Paths = HERE, **change: Any) -> dict[str, Any]:
    """Return a request such as the agent makes, on one day and in one place."""
    said = {
        "day": "2026-11-24",
        "session": "4403a415-581d-4aab-ba29-5af883f51c88",
        "platform": "linux",
        "branch": "main",
        "prompt": "Do the task",
        **change,
    }
    name = paths.workspace.translate({ord(c): "-" for c in "/ '"})
    environment = (
        "# Environment\nYou have been invoked in the following environment: \n"
        f" - Primary working directory: {paths.workspace}\n - Is a git repository: false\n"
        f" - Platform: {said['platform']}\n - Shell: bash\n - OS Version: Linux 6.18\n\nOn with it."
    )
    return {
        "model": "claude-opus-5-5",
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.{said['session'][:3]};"},
            {
                "type": "text",
                "text": f"<env>\nWorking directory: {paths.workspace}\nToday's date: {said['day']}\n</env>\n"
                f"Memory lies in {paths.run_folder}/config/projects/{name}/memory/.\n"
                f"gitStatus: This is the status.\nCurrent branch: {said['branch']}\n\nM a.py\n# Next\nGo.",
                "cache_control": {"type": "ephemeral"},
            },
        ],
        "tools": [{"name": "Bash", "description": f"on {said['platform']}"}, {"name": "Edit"}],
        "messages": [
            {"role": "user", "content": said["prompt"]},
            {"role": "system", "content": environment},
            {"role": "assistant", "content": [tool_use(f"cat {paths.workspace}/a.txt")]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": f"in {paths.workspace}."},
                    {"type": "text", "text": f"session {said['session']}"},
                ],
            },
        ],
        "metadata": {"user_id": said["session"]},
        "max_tokens": 128_000,
        "stream": True,
        "thinking": {"type": "adaptive"},
    }


def tool_use(command: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": command}}


def key(body: dict[str, Any], paths: Paths = HERE) -> str:
    return key_of(request_of(body, paths, NOBODY))


class TestTheSame:
    @pytest.mark.parametrize(
        "change",
        [
            {"day": "2027-01-02"},
            {"session": "00000000-1111-2222-3333-444444444444"},
            {"platform": "darwin"},
            {"branch": "feature\nM b.py\n?? c.py"},
        ],
    )
    def test_on_another_day_in_another_session_on_another_machine(self, change: dict[str, str]) -> None:
        assert key(request(**change)) == key(request())

    def test_in_another_folder(self) -> None:
        assert key(request(THERE), THERE) == key(request())

    def test_asked_without_a_stream_and_for_less(self) -> None:
        assert key({**request(), "stream": False, "max_tokens": 64_000}) == key(request())

    def test_with_the_cache_asked_for_elsewhere(self) -> None:
        other = request()
        del other["system"][1]["cache_control"]
        text = {"type": "text", "text": "Do the task", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        other["messages"][0]["content"] = [text]
        assert key(other) == key(request())

    @given(st.dates(), st.uuids(), st.times(), st.emails())
    def test_whatever_the_date_the_time_the_session_and_the_account(
        self, day: Any, session: Any, time: Any, address: str
    ) -> None:
        text = f"At {day.isoformat()} {time.replace(microsecond=0)} in {session}"
        known = same_text("At 2026-11-24 10:35:40 in 4403a415-581d-4aab-ba29-5af883f51c88")
        assert same_text(text) == known

    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-24T10:35:40Z",
            "2026-11-24T10:35:40.123+00:00",
            "2026-11-24",
            "Tue Nov 24 10:35:40 UTC 2026",
            "Nov 24 10:35",
            "November 24, 2026",
        ],
    )
    def test_dates_are_known_in_their_usual_forms(self, text: str) -> None:
        assert same_text(f"on {text}.") == "on {{date}}."


class TestNotTheSame:
    @pytest.mark.parametrize(
        "change",
        [
            lambda body: body.update(model="claude-haiku-5-5"),
            lambda body: body["tools"].pop(),
            lambda body: body["system"][1].update(text="You are a pirate."),
            lambda body: body["messages"].pop(),
            lambda body: body["messages"][2]["content"][0]["input"].update(command="cat /workspace/b.txt"),
            lambda body: body["messages"][3]["content"][0].update(content="in /workspace2."),
            lambda body: body["messages"][3]["content"][0].update(is_error=True),
            lambda body: body.update(thinking={"type": "disabled"}),
        ],
    )
    def test_what_counts(self, change: Any) -> None:
        other = request()
        change(other)
        assert key(other) != key(request())

    @given(st.text(st.characters(categories=["Ll"]), min_size=1))
    def test_any_other_prompt(self, prompt: str) -> None:
        assert key(request(prompt=prompt)) != key(request(prompt=prompt + "x"))


texts = st.lists(
    st.sampled_from(
        [
            "/workspace",
            "/ccnb",
            "-workspace",
            "/workspace/",
            "2026-11-24",
            "<env>",
            "</env>",
            "gitStatus: x\n",
            " - Platform: linux\n",
            "a@b.de",
            " ",
            "\n",
            "10:20:30",
            "Nov 24 ",
            "word",
            "# ",
            "{{ccnb workspace}}",
            "/tmp/claude-52017",
            "sk-ant-api03-0123456789abcdef0123",
        ]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(texts)
def test_a_text_that_was_made_the_same_stays_as_it_is(text: str) -> None:
    assert same_text(same_text(text)) == same_text(text)


@given(texts, texts)
def test_a_request_that_was_made_the_same_stays_as_it_is(system: str, said: str) -> None:
    body = {**request(), "system": system, "messages": [{"role": "user", "content": said}]}
    once = request_of(body, HERE, NOBODY)
    # A cassette has the names of the tools only.
    assert request_of(once, HERE, NOBODY) == once
    assert json.loads(json.dumps(once)) == once


@given(
    st.lists(st.sampled_from(["/workspace", "/ccnb", "-workspace", "/workspaces", " ", "x", "/", ".", "\n"]))
)
def test_paths_that_are_hidden_come_back(parts: list[str]) -> None:
    text = "".join(parts)
    assert HERE.show(HERE.hide(text)) == text
    assert HERE.hide({"a": [text]}) == {"a": [HERE.hide(text)]}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("cd /workspace && ls", "cd {{ccnb workspace}} && ls"),
        ("/workspace/a.txt", "{{ccnb workspace}}/a.txt"),
        ("It lies in /workspace.", "It lies in {{ccnb workspace}}."),
        ("file:///workspace/a", "file://{{ccnb workspace}}/a"),
        ("projects/-workspace/memory", "projects/{{ccnb workspace name}}/memory"),
        ("/home/ada/workspace/x", "/home/ada/workspace/x"),
        (
            "/workspace.bak and /workspaces and my-workspace",
            "/workspace.bak and /workspaces and my-workspace",
        ),
    ],
)
def test_only_the_place_itself_is_hidden(text: str, hidden: str) -> None:
    assert HERE.hide(text) == hidden


def test_the_callers_other_values_are_left_alone() -> None:
    body = request()
    before = copy.deepcopy(body)
    request_of(body, HERE, NOBODY)
    assert body == before


def test_secrets_and_accounts_are_not_in_it() -> None:
    body = request(prompt='The password is "hunter2-hunter2", mine is ada@example.org.')
    text = json.dumps(request_of(body, HERE, Redactor(["hunter2-hunter2"])))
    for word in ("hunter2", "ada@", "user_id", "4403a415"):
        assert word not in text


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len({name for name, _, _ in RULES}) == len(RULES)


class TestDifference:
    def test_it_shows_the_place_and_both_sides(self) -> None:
        one = request_of(request(prompt="x" * 90 + " make two files"), HERE, NOBODY)
        other = request_of(request(prompt="x" * 90 + " make three files"), HERE, NOBODY)
        said = difference(one, other)
        assert said.startswith("messages[0].content[0].text: recorded is '…")
        assert "make two files" in said
        assert "make three files" in said
        assert len(said) < 300

    def test_what_is_missing_is_said(self) -> None:
        one, other = request_of(request(), HERE, NOBODY), request_of(request(), HERE, NOBODY)
        other["messages"] = other["messages"][:3]
        assert difference(one, other).startswith("messages[3]: recorded is")
        assert difference(one, other).endswith("asked nothing")
        assert difference(one, one) == "nothing"

    def test_the_nearest_shares_the_longest_beginning(self) -> None:
        whole = request_of(request(), HERE, NOBODY)
        shorter = {**whole, "messages": whole["messages"][:2]}
        stranger = {**whole, "messages": list(reversed(whole["messages"]))}
        assert likeness(shorter, whole) > likeness(stranger, whole)
        assert likeness(whole, whole) > likeness({**whole, "model": "x"}, whole)


def test_a_long_conversation_is_compared_in_no_time() -> None:
    """Texts that such patterns are slow on, too."""
    import time

    for text in (
        "word " * 40_000,
        "a." * 100_000,
        "<env>" * 2_000,
        "2026-" * 40_000,
        "gitStatus: \n" * 10_000,
    ):
        # Of this thread alone: the machine may do something else as well.
        begun = time.thread_time()
        same_text(text)
        assert time.thread_time() - begun < 1, text[:9]
