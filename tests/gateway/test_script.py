"""What a script may say, and how its mistakes are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.errors import ScriptError
from ccnb.gateway.script import Script, ToolCall, Turn, load_script, parse_script, shipped_scripts
from ccnb.gateway.sources import Call, ScriptSource, StreamCutError, turn_of

TOOLS = [{"name": "Bash"}]

Message = dict[str, Any]


def ask(
    source: ScriptSource, conversation: list[Message], *, stream: bool = False, tools: bool = True
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON body that a source gives to a conversation."""
    request = {"model": "m", "messages": conversation, "stream": stream, "tools": TOOLS if tools else []}

    async def collect() -> tuple[int, bytes]:
        reply = await source.answer(Call(request))
        return reply.status, b"".join([chunk async for chunk in reply.body])

    status, body = asyncio.run(collect())
    return status, json.loads(body)


def said(source: ScriptSource, conversation: list[Message], *, tools: bool = True) -> str:
    """Return the text of the answer."""
    body = ask(source, conversation, tools=tools)[1]
    return "".join(block["text"] for block in body["content"] if block["type"] == "text")


def user(text: str = "go") -> Message:
    return {"role": "user", "content": text}


def assistant(text: str = "well") -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def source_of(text: str, run_id: str = "r", workspace: str = "/workspace") -> ScriptSource:
    return ScriptSource(parse_script(text, "s.yaml"), run_id, workspace)


class TestReading:
    def test_a_bare_line_is_what_the_model_says(self) -> None:
        assert parse_script("- Hello", "hi.yaml") == Script("hi", (Turn(say="Hello"),))

    def test_every_key_has_its_place(self) -> None:
        text = """
- think: Let me see.
  say: I look.
  tools:
    - Bash: {command: ls}
    - Write:
        file_path: $CWD/a
        content: "1"
  error: 429
  times: 3
  retry_after: 1
  cut: true
  wait: 1.5
  pace: 0.02
  tokens: {input: 10, output: 20}
"""
        (turn,) = parse_script(text, "s.yaml").turns
        assert turn.tools == (
            ToolCall("Bash", {"command": "ls"}),
            ToolCall("Write", {"file_path": "$CWD/a", "content": "1"}),
        )
        assert (turn.error, turn.times, turn.retry_after_s) == (429, 3, 1.0)
        assert (turn.cut, turn.wait_s, turn.pace_s) == (True, 1.5, 0.02)
        assert (turn.tokens.input, turn.tokens.output) == (10, 20)

    def test_an_input_is_read_as_json_reads_it(self) -> None:
        text = "- tools: [X: {a: 1, b: 1.5, c: true, d: null, e: [no, 2026-01-02, 1:30, 012, '7', .inf]}]"
        (turn,) = parse_script(text, "s.yaml").turns
        assert turn.tools[0].input == {
            "a": 1,
            "b": 1.5,
            "c": True,
            "d": None,
            "e": ["no", "2026-01-02", "1:30", "012", "7", ".inf"],
        }

    def test_an_error_with_an_answer_is_given_once_unless_told(self) -> None:
        script = parse_script("- {error: 500, say: ok}\n- error: 401", "s.yaml")
        assert [turn.times for turn in script.turns] == [1, None]

    @pytest.mark.parametrize("name", shipped_scripts())
    def test_shipped_scripts_are_sound(self, name: str) -> None:
        assert load_script(name).name == name

    def test_a_file_is_read_by_its_path(self, tmp_path: Path) -> None:
        path = tmp_path / "own.yaml"
        path.write_text("- Hi")
        assert load_script(path) == load_script(str(path)) == Script("own", (Turn(say="Hi"),))


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "line", "problem"),
        [
            ("- say: a\n- sya: b", 2, "unknown key 'sya' in a turn; did you mean 'say'?"),
            ("- colour: red", 1, "unknown key 'colour' in a turn; the keys are say, tools"),
            ("- say: a\n\n- say: b\n  say: c", 4, "'say' stands twice in a turn"),
            ("- say: [a]", 1, "'say' is a text"),
            ("- say:", 1, "'say' is empty"),
            ("- say: a\n  error: soon", 2, "'error' is an HTTP status from 400 to 599"),
            ("- say: a\n  error: 200", 2, "not '200'"),
            ("- say: a\n  times: 2", 2, "'times' belongs to 'error' or 'cut'"),
            ("- say: a\n  cut: true\n  retry_after: 2", 3, "'retry_after' belongs to 'error'"),
            ("- say: a\n  wait: -1", 2, "'wait' is a number of seconds, 0 or more, not '-1'"),
            ("- say: a\n  pace: fast", 2, "not 'fast'"),
            ("- say: a\n  cut: maybe", 2, "'cut' is true or false"),
            ("- say: a\n  tokens: {in: 3}", 2, "unknown key 'in'"),
            ("- say: a\n  tokens: {input: 1.5}", 2, "'input' is a whole number"),
            ("- error: 529\n  times: 2", 1, "then nothing answers"),
            ("- error: 529\n  cut: true", 1, "nothing of it can be cut"),
            ("- wait: 1", 1, "the turn answers nothing"),
            ("- say: a\n  tools: {Bash: {}}", 2, "'tools' is a list"),
            ("- tools: []", 1, "'tools' is empty"),
            ("- tools:\n  - Bash: ls", 2, "the input of Bash is written as"),
            ("- tools:\n  - {Bash: {}, Read: {}}", 2, "a tool call is one name and its input"),
            ("- tools:\n  - X: &a {b: *a}", 2, "does an alias hold itself?"),
            ("say: a", 1, "a script is a list"),
            ("[]", 1, "no turns"),
            ("# nothing", 1, "the script is empty"),
            ("- say: a\n- 'open", 2, "end of stream"),
            ("- say: a\n  bad: b: c", 2, "mapping values are not allowed here"),
            ("- say: a\n- \x01", 2, "a character that YAML forbids"),
        ],
    )
    def test_a_mistake_names_its_file_and_line(self, text: str, line: int, problem: str) -> None:
        with pytest.raises(ScriptError) as caught:
            parse_script(text, "fib.yaml")
        assert str(caught.value).startswith(f"fib.yaml, line {line}: ")
        assert problem in str(caught.value)

    @given(st.text(alphabet="-:[]{}&*!|>'\"\\%@`#,? \n\tabsay1U0xtools", max_size=60))
    def test_any_text_is_a_script_or_a_script_error(self, text: str) -> None:
        with contextlib.suppress(ScriptError):
            assert parse_script(text, "s.yaml").turns

    def test_an_unknown_name_lists_the_shipped_scripts(self) -> None:
        with pytest.raises(ScriptError, match=r"no script is named 'demmo' .*demo.*did you mean 'demo'\?"):
            load_script("demmo")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ScriptError, match=r"can't read the script .*none\.yaml"):
            load_script(tmp_path / "none.yaml")

    def test_other_encodings_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.yaml"
        path.write_bytes(b"- say: caf\xe9")
        with pytest.raises(ScriptError, match="not UTF-8"):
            load_script(path)


class TestTurns:
    SCRIPT = "- one\n- two\n- three"

    def test_the_conversation_decides(self) -> None:
        source = source_of(self.SCRIPT)
        talk = [user(), assistant(), user()]
        assert said(source, talk) == said(source, talk) == "two"
        assert said(source, [user()]) == "one"

    def test_neighbouring_assistant_messages_are_one_answer(self) -> None:
        talk = [user(), assistant(), assistant(), user(), assistant(), user()]
        assert turn_of(talk, parse_script(self.SCRIPT, "s.yaml").turns) == 2

    def test_an_answer_cut_off_before_its_tools_is_given_again(self) -> None:
        source = source_of("- {say: I look, tools: [Bash: {command: ls}]}\n- Seen.")
        talk = [user(), assistant("I look"), user("You were cut off.")]
        assert said(source, talk) == "I look"
        used = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash"}]}
        assert said(source, [*talk, used, user()]) == "Seen."

    def test_a_system_message_at_the_end_changes_nothing(self) -> None:
        talk = [user(), assistant(), user(), {"role": "system", "content": "a reminder"}]
        assert said(source_of(self.SCRIPT), talk) == "two"

    def test_a_call_without_tools_takes_no_turn(self) -> None:
        source = source_of(self.SCRIPT)
        assert said(source, [user()], tools=False) == "Done."
        assert said(source, [user()]) == "one"

    def test_past_the_last_turn_it_says_so(self) -> None:
        status, body = ask(source_of("- one"), [user(), assistant(), user()])
        assert (status, body["stop_reason"]) == (200, "end_turn")
        assert "script has ended" in body["content"][0]["text"]

    def test_errors_come_as_often_as_told_then_the_answer(self) -> None:
        source = source_of("- {error: 529, times: 2, say: at last}")
        statuses = [ask(source, [user()])[0] for _ in range(3)]
        assert statuses == [529, 529, 200]

    def test_errors_are_counted_per_turn(self) -> None:
        source = source_of("- {error: 500, say: a}\n- {error: 500, say: b}")
        talk = [user(), assistant(), user()]
        assert [ask(source, [user()])[0], ask(source, talk)[0], ask(source, talk)[0]] == [500, 500, 200]

    def test_a_turn_that_is_only_an_error_never_ends(self) -> None:
        source = source_of("- error: 401")
        assert [ask(source, [user()])[0] for _ in range(20)] == [401] * 20

    def test_only_the_first_stream_is_cut_and_a_whole_answer_never(self) -> None:
        text = "- {say: some longer words that make more than one chunk, cut: true}"
        talk = {"model": "m", "messages": [user()], "tools": TOOLS}

        async def stream(source: ScriptSource) -> bytes:
            reply = await source.answer(Call({**talk, "stream": True}))
            return b"".join([chunk async for chunk in reply.body])

        source = source_of(text)
        assert ask(source, [user()])[0] == 200
        with pytest.raises(StreamCutError):
            asyncio.run(stream(source))
        assert asyncio.run(stream(source)).count(b"message_stop") == 2

    def test_the_workspace_stands_in_for_cwd_everywhere(self) -> None:
        source = source_of("- say: in $CWD\n  tools: [X: {a: [$CWD/f, {b: x=$CWD}]}]", workspace="/w")
        content = ask(source, [user()])[1]["content"]
        assert content[0]["text"] == "in /w"
        assert content[1]["input"] == {"a": ["/w/f", {"b": "x=/w"}]}

    def test_tool_use_ids_are_the_same_each_time_and_differ_between_runs(self) -> None:
        text = "- tools: [A: {}, B: {}]"

        def ids(run_id: str) -> list[str]:
            return [block["id"] for block in ask(source_of(text, run_id), [user()])[1]["content"]]

        assert ids("r") == ids("r")
        assert len({*ids("r"), *ids("q")}) == 4
        assert all(id_.startswith("toolu_") for id_ in ids("r"))

    def test_usage_is_the_same_in_every_workspace_and_run(self) -> None:
        def usage(workspace: str, run_id: str) -> object:
            source = source_of("- a\n- b in $CWD", run_id, workspace)
            return ask(source, [user(), assistant(f"{workspace}/x"), user()])[1]["usage"]

        assert usage("/workspace", "a") == usage("/home/somebody/else", "another-run")

    def test_told_usage_is_given(self) -> None:
        usage = ask(source_of("- {say: a, tokens: {input: 7, output: 9}}"), [user()])[1]["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (7, 9)
