"""What was recorded once is replayed in every mode: the same tools, the same files, no account."""

from __future__ import annotations

import json
import os

import pytest

import ccnb
from ccnb.errors import CassetteError, SpecError
from ccnb.gateway import cassette
from tests.conformance.test_attach import CLIENT, client, kill
from tests.conformance.test_forward import SLOW, api  # noqa: F401 - a fixture
from tests.conformance.test_modes import run_until_clean
from tests.conftest import near_modes, require
from tests.modelapi import API_KEY, DO_IT, OAUTH_TOKEN
from tests.waiting import kill_gateway, wait_for

PROMPT = "Make two files and say what is in them"
REPLAYS = int(os.environ.get("CCNB_REPLAYS", "3"))
"""How often the one cassette is replayed in each mode."""


def tools_of(result):
    return [(use.name, dict(use.input)) for event in result.events for use in event.tool_uses]


def files_of(result):
    folder = result.workspace
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    return tmp_path_factory.mktemp("tapes") / "tape.jsonl"


@pytest.fixture
def recorded(home, places, api, tape, monkeypatch):
    """Record the task once for all tests; afterwards there is neither an API nor a credential."""
    require("bubblewrap")
    server = api(DO_IT, workspace="/workspace")
    if not tape.exists():
        result = run_until_clean(places, PROMPT, mode="local", api=f"record:{tape}")
        assert (result.outcome, result.error, result.warnings) == ("success", None, ())
        assert result.spec.auth == "gateway"
        assert len(server.asked) == len(result.calls) == 3
    server.asked.clear()
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    return tape


@near_modes
@pytest.mark.parametrize("time", range(REPLAYS))
def test_a_replay_does_the_same_in_every_mode(home, places, mode, closed, inside, recorded, time):
    result = run_until_clean(places, PROMPT, mode=mode, api=f"replay:{recorded}", network=closed)
    assert (result.outcome, result.error, result.warnings) == ("success", None, ())
    folder = inside(result.workspace)
    command = f"echo one >{folder}/one.txt; cat {folder}/one.txt"
    assert tools_of(result) == [
        ("Bash", {"command": command, "description": "make a file"}),
        ("Write", {"file_path": f"{folder}/two.txt", "content": "two\n"}),
    ]
    assert files_of(result) == {"one.txt": b"one\n", "two.txt": b"two\n"}
    assert result.text == "Both are there."
    assert [call["status"] for call in result.calls] == [200, 200, 200]


def test_a_replay_in_another_folder_makes_its_files_there(home, places, recorded, tmp_path):
    (tmp_path / "mine").mkdir()
    options = {"mode": "local", "isolation": "none", "permission_mode": "bypassPermissions"}
    result = ccnb.run(
        PROMPT,
        api=f"replay:{recorded}",
        workspace=str(tmp_path / "mine"),
        env={"IS_SANDBOX": "1"},
        **options,
    )
    assert (result.outcome, result.error) == ("success", None)
    assert (tmp_path / "mine" / "two.txt").read_text() == "two\n"


@pytest.mark.needs("bubblewrap")
def test_nothing_on_it_tells_who_recorded_it(recorded):
    text = recorded.read_text()
    for secret in (API_KEY, OAUTH_TOKEN, "sk-ant-", "user_id", "device_id", "account_uuid", "request_id"):
        assert secret not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [key for line in lines for key in line if key not in {"part", "value"}] == [
        "ccnb_cassette",
        "recorded_at",
        "variable",
        *["exchange"] * 3,
    ]
    assert recorded.stat().st_mode & 0o777 == 0o600


@pytest.mark.needs("bubblewrap")
def test_another_prompt_is_told_what_was_recorded(home, places, recorded):
    result = run_until_clean(places, "Make three files", mode="local", api=f"replay:{recorded}")
    assert (result.outcome, result.error.kind) == ("infrastructure", "not_recorded")
    assert "the nearest, exchange 1, differs in messages[0].content" in result.error.message
    assert "Make two files" in result.error.message
    assert "Make three files" in result.error.message
    assert "record" in result.error.next_action
    assert [call["refused"] for call in result.calls] == ["not_recorded"]


@pytest.mark.needs("bubblewrap")
def test_a_token_is_recorded_and_replayed_as_one(home, places, api, tmp_path, monkeypatch):
    server = api(DO_IT, variable="CLAUDE_CODE_OAUTH_TOKEN")
    tape = tmp_path / "tape.jsonl"
    first = run_until_clean(places, PROMPT, mode="local", api=f"record:{tape}")
    assert first.spec.auth == "gateway"
    assert server.asked[0].headers["authorization"] == f"Bearer {OAUTH_TOKEN}"
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN")
    again = run_until_clean(places, PROMPT, mode="local", api=f"replay:{tape}")
    assert (again.outcome, again.error) == ("success", None)
    assert again.conditions["model"] == first.conditions["model"]
    assert "sonnet" in again.conditions["model"]


@pytest.mark.needs("bubblewrap")
def test_retries_are_replayed_as_they_were(home, places, api, tmp_path):
    api("- {error: 529, times: 2, retry_after: 0.1, say: At last.}")
    tape = tmp_path / "tape.jsonl"
    first = run_until_clean(places, "Say it", mode="local", api=f"record:{tape}")
    again = run_until_clean(places, "Say it", mode="local", api=f"replay:{tape}")
    for result in (first, again):
        assert (result.outcome, result.text) == ("success", "At last.")
        assert [call["status"] for call in result.calls] == [529, 529, 200]


@pytest.mark.needs("bubblewrap")
def test_the_original_pace_is_kept_where_it_is_wanted(home, places, api, tmp_path):
    api("- {say: 'One two three four five six seven eight nine ten', wait: 1, pace: 0.1}")
    tape = tmp_path / "tape.jsonl"
    first = run_until_clean(places, "Say it", mode="local", api=f"record:{tape}").calls[0]
    fast = run_until_clean(places, "Say it", mode="local", api=f"replay:{tape}").calls[0]
    slow = run_until_clean(places, "Say it", mode="local", api=f"replay:{tape}?pace=original").calls[0]
    assert fast["duration_s"] < first["duration_s"] / 2
    # A busy machine can only add to it.
    assert slow["first_byte_s"] > first["first_byte_s"] * 0.9
    assert slow["duration_s"] > first["duration_s"] * 0.9


@pytest.mark.needs("bubblewrap")
def test_what_had_to_be_asked_without_a_stream_is_replayed_with_one(home, places, api, tmp_path):
    api("- {say: 'Word by word by word by word, so that there is something to cut.', cut: true, times: 9}")
    tape, options = tmp_path / "tape.jsonl", {"mode": "local", "env": {"CLAUDE_CODE_MAX_RETRIES": "1"}}
    first = run_until_clean(places, "Say it", api=f"record:{tape}", **options)
    assert [(call["stream"], call["end"]) for call in first.calls] == [
        (True, "cut"),
        (True, "cut"),
        (False, "complete"),
    ]
    again = run_until_clean(places, "Say it", api=f"replay:{tape}", **options)
    assert (again.outcome, again.text) == ("success", first.text)
    assert [(call["stream"], call["end"]) for call in again.calls] == [(True, "complete")]


@pytest.mark.needs("bubblewrap")
def test_a_recording_outlives_client_and_gateway(home, places, api, tmp_path):
    server = api(SLOW)
    tape = tmp_path / "tape.jsonl"
    process = client({"mode": "local", "api": f"record:{tape}"}, CLIENT)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: len(server.asked) == 2)
    kill(process)
    kill_gateway(home)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    again = run_until_clean(places, "Do it", mode="local", api=f"replay:{tape}")
    assert (again.outcome, again.text) == ("success", result.text)


@pytest.mark.needs("bubblewrap")
def test_a_run_that_asked_nothing_leaves_no_cassette(home, places, api, tmp_path):
    api()
    tape = tmp_path / "tape.jsonl"
    result = run_until_clean(places, mode="local", api=f"record:{tape}", setup="false")
    assert result.outcome == "infrastructure"
    assert not tape.exists()


@pytest.mark.needs("bubblewrap")
def test_a_second_run_does_not_record_over_the_first(home, places, api, tmp_path):
    api(SLOW)
    tape = tmp_path / "tape.jsonl"
    run = ccnb.start("Do it", mode="local", api=f"record:{tape}")
    wait_for(tape.exists)
    with pytest.raises(CassetteError, match="already"):
        ccnb.start("Do it", mode="local", api=f"record:{tape}")
    assert run.result().outcome == "success"
    assert len(cassette.load(tape).recorded) == 2


class TestBadInput:
    """All of it is said before anything is started."""

    @pytest.fixture(autouse=True)
    def nothing_is_started(self, home):
        yield
        assert ccnb.runs() == []

    def refused(self, match, api, **options):
        with pytest.raises((CassetteError, SpecError), match=match) as caught:
            ccnb.run("Do it", mode="local", api=api, **options)
        assert caught.value.exit_code == 2

    def test_a_missing_one(self, tmp_path):
        self.refused("there is no cassette .*none.jsonl", f"replay:{tmp_path}/none.jsonl")

    @pytest.mark.parametrize("content", ["", "hello\n", "[1]\n", '{"a": 1}\n', "- say: x\n", "\0\xff"])
    def test_what_is_none(self, tmp_path, content):
        (tmp_path / "x").write_text(content)
        self.refused("is no cassette", f"replay:{tmp_path}/x")

    def test_a_folder(self, tmp_path):
        self.refused("can't read the cassette .*Is a directory", f"replay:{tmp_path}")

    def test_one_of_a_newer_version(self, tmp_path):
        (tmp_path / "x").write_text('{"ccnb_cassette": 2}\n')
        self.refused("has version 2, this ccnb knows 1; upgrade", f"replay:{tmp_path}/x")

    def test_an_empty_one(self, tmp_path):
        (tmp_path / "x").write_text('{"ccnb_cassette": 1, "variable": "ANTHROPIC_API_KEY"}\n')
        self.refused("nothing is recorded on", f"replay:{tmp_path}/x")

    def test_one_that_is_there_already_is_not_recorded_over(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
        (tmp_path / "x").write_text("precious")
        self.refused("something at .* already; replay it", f"record:{tmp_path}/x")
        assert (tmp_path / "x").read_text() == "precious"

    @pytest.mark.parametrize("path", ["/proc/x", "/nowhere/x", "/dev/null/x"])
    def test_a_place_where_nothing_can_be_written(self, path):
        self.refused("can't record to", f"record:{path}")

    def test_the_workspace_is_no_place_for_a_recording(self, tmp_path):
        self.refused("lies in the workspace", f"record:{tmp_path}/a/x", workspace=str(tmp_path))

    def test_a_recording_needs_the_gateway(self, tmp_path):
        self.refused("only that can record", f"record:{tmp_path}/x", auth="env")
