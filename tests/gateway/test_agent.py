"""The real agent against the gateway, over its unix socket."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccnb.gateway.process import ensure, stop
from ccnb.gateway.registration import register
from tests.waiting import kill_gateway

MODEL = "claude-sonnet-5-5"


def find_claude() -> str | None:
    spec = importlib.util.find_spec("claude_agent_sdk")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "_bundled" / "claude"
        if bundled.exists():
            return str(bundled)
    return shutil.which("claude")


CLAUDE = find_claude()

pytestmark = pytest.mark.skipif(CLAUDE is None, reason="the claude program is not installed")


@dataclass(frozen=True)
class Agent:
    """The agent with a script, in a workspace and a store of its own."""

    home: Path
    workspace: Path

    def start(self, script: str, **environment: str) -> subprocess.Popen[str]:
        """Start it with a script given by its name or as text."""
        folder = self.home.parent
        if script.startswith("-"):
            (folder / "own.yaml").write_text(script)
            script = str(folder / "own.yaml")
        api, until = f"script:{script}", time.time() + 600
        run = register(self.home, "r1", api=api, workspace=str(self.workspace), until=until)
        options = ["-p", "--output-format=stream-json", "--verbose", f"--model={MODEL}"]
        return subprocess.Popen(
            [CLAUDE or "", *options, "--dangerously-skip-permissions", "--", "Do the task."],
            cwd=self.workspace,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder / "agent"),
                "CLAUDE_CONFIG_DIR": str(folder / "agent"),
                "ANTHROPIC_API_KEY": run.key,
                "ANTHROPIC_BASE_URL": "http://localhost",
                "ANTHROPIC_UNIX_SOCKET": str(ensure(self.home).socket),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "IS_SANDBOX": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, **environment: str) -> Outcome:
        """Run it to its end."""
        with self.start(script, **environment) as process:
            output = process.communicate(timeout=300)[0]
        return self.outcome(process.returncode, output)

    def outcome(self, code: int, output: str) -> Outcome:
        """Return what came of it."""
        written = self.home / "runs" / "r1" / "calls.jsonl"
        calls = [json.loads(line) for line in written.read_text().splitlines()]
        return Outcome(code, [json.loads(line) for line in output.splitlines()], calls)


@dataclass(frozen=True)
class Outcome:
    """What came of one run of the agent."""

    code: int
    events: list[dict[str, Any]]
    calls: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        """The last event."""
        return self.events[-1]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Return the agent; its gateway is ended afterwards."""
    agent = Agent(tmp_path / "home", tmp_path / "workspace")
    agent.workspace.mkdir()
    yield agent
    stop(agent.home)


def test_the_demo_is_done_from_end_to_end(agent: Agent) -> None:
    outcome = agent.run("demo")
    assert outcome.code == 0
    assert (outcome.result["subtype"], outcome.result["is_error"]) == ("success", False)
    assert outcome.result["num_turns"] >= 4
    assert [(call["turn"], call["stream"], call["status"]) for call in outcome.calls] == [
        (turn, True, 200) for turn in range(5)
    ]
    assert outcome.result["usage"]["output_tokens"] == sum(call["output_tokens"] for call in outcome.calls)
    assert outcome.result["modelUsage"].keys() == {MODEL}
    check = subprocess.run(["sh", "wordcount.sh", "sample.txt"], cwd=agent.workspace, capture_output=True)
    assert check.stdout == b"6\n"


def test_no_tool_of_the_demo_fails(agent: Agent) -> None:
    events = agent.run("demo").events
    blocks = [
        block
        for event in events
        if event["type"] == "user"
        for block in event["message"]["content"]
        if block["type"] == "tool_result"
    ]
    assert len(blocks) == 5
    assert not any(block.get("is_error") for block in blocks)
    assert {"12", "6"} <= {str(block["content"]) for block in blocks}


def test_an_overloaded_model_is_tried_again(agent: Agent) -> None:
    outcome = agent.run("- {error: 529, times: 2, say: There I am.}", CLAUDE_CODE_MAX_RETRIES="4")
    assert outcome.code == 0
    assert outcome.result["result"] == "There I am."
    assert [call["status"] for call in outcome.calls] == [529, 529, 200]
    retries = [event for event in outcome.events if event.get("subtype") == "api_retry"]
    assert [event["error_status"] for event in retries] == [529, 529]


def test_a_refusal_that_stays_ends_the_run(agent: Agent) -> None:
    outcome = agent.run("- error: 403")
    assert outcome.code == 1
    assert outcome.result["is_error"] is True
    assert outcome.result["api_error_status"] == 403
    assert [call["status"] for call in outcome.calls] == [403]


@pytest.mark.parametrize(
    ("times", "first_turn"),
    [
        # The agent streams again as often as it may, then asks for the answer in one piece.
        (1, [(True, "cut"), (True, "complete")]),
        (9, [(True, "cut"), (True, "cut"), (False, "complete")]),
    ],
)
def test_a_cut_stream_is_asked_again_and_ends_well(
    agent: Agent, times: int, first_turn: list[tuple[bool, str]]
) -> None:
    script = f"""- say: I write it down, word by word, so that there is something to cut.
  tools: [Write: {{file_path: $CWD/a.txt, content: done}}]
  cut: true
  times: {times}
- Done.
"""
    outcome = agent.run(script, CLAUDE_CODE_MAX_RETRIES="1")
    assert outcome.code == 0
    assert outcome.result["result"] == "Done."
    assert (agent.workspace / "a.txt").read_text() == "done"
    assert [(call["turn"], call["stream"], call["end"]) for call in outcome.calls] == [
        *((0, stream, end) for stream, end in first_turn),
        (1, True, "complete"),
    ]


def test_a_thought_is_passed_on(agent: Agent) -> None:
    outcome = agent.run("- {think: Hm., say: Yes.}")
    kinds = [
        block["type"]
        for event in outcome.events
        if event["type"] == "assistant"
        for block in event["message"]["content"]
    ]
    assert kinds == ["thinking", "text"]
    assert len(outcome.calls) == 1


def test_an_agent_that_goes_on_after_the_script_is_told(agent: Agent) -> None:
    outcome = agent.run("- tools: [Bash: {command: pwd}]")
    assert "script has ended" in outcome.result["result"]
    assert [call["turn"] for call in outcome.calls] == [0, 1]


def test_a_gateway_that_dies_in_mid_answer_costs_nothing(agent: Agent) -> None:
    script = """- say: I write it down.
  tools: [Write: {file_path: $CWD/a.txt, content: done}]
  pace: 0.1
- Done.
"""
    with agent.start(script) as process:
        assert process.stdout is not None
        output = ""
        while '"type":"assistant"' not in output:
            output += process.stdout.readline()
        kill_gateway(agent.home)
        ensure(agent.home)
        output += process.communicate(timeout=300)[0]
    outcome = agent.outcome(process.returncode, output)
    assert outcome.code == 0
    assert outcome.result["result"] == "Done."
    assert (agent.workspace / "a.txt").read_text() == "done"
