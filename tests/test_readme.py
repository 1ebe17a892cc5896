"""README.md and docs are held to their word: commands are run in order, and print what is said they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.modelapi import API_KEY, ModelApi
from tests.newcomer import ROOT, copy_of_the_project, environment, variables

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
HAIKU = """
- say: I write it down.
  tools: [Write: {file_path: $CWD/haiku.txt, content: "Not one word is lost."}]
- It is in haiku.txt.
"""
"""What the model answers to those who record, in the pages."""
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_INLINE = re.compile(r"`(ccnb [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced part of the README."""

    kind: str
    text: str
    line: int
    why_not: str
    shown: str = ""
    """What stands below it as its output."""

    @property
    def commands(self) -> str:
        """Return it as a part of a shell's session, after a mark that can be found in the output."""
        if self.kind == "sh":
            return f"echo '{self.mark}'\n{self.text}"
        return f"echo '{self.mark}'\npython - <<'PYTHON'\n{self.text}PYTHON\n"

    @property
    def mark(self) -> str:
        """Return the words that go before its output."""
        return f"=== line {self.line}"


def blocks(text: str = README) -> list[Block]:
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        block = Block(match["kind"], match["text"], line, match["why"] or "")
        if block.kind == "text" and found:
            found[-1] = Block(**{**vars(found[-1]), "shown": block.text})
        else:
            found.append(block)
    return found


def plain(line: str) -> str:
    """Return a line of output without what differs from run to run: figures, ids, and the space they take."""
    line = re.sub(r"\d{6}-\d{6}-\w{5}", "ID", line)
    line = re.sub(r"\d[\d,.]*", "N", line)
    return re.sub(r"[ ─]+", " ", line).strip()


def missing_from(shown: str, printed: str) -> list[str]:
    """Return the lines of an output as shown that did not come, in that order, in what was printed."""
    rest = iter([plain(line) for line in printed.splitlines()])
    wanted = [plain(line) for line in shown.splitlines() if line.strip() not in ("", "...")]
    return [line for line in wanted if line not in rest]


def test_few_blocks_are_not_run_and_each_says_why():
    left_out = [block for block in blocks() if block.why_not]
    assert len(left_out) <= 5
    assert all(len(block.why_not) > 10 for block in left_out)
    assert {block.kind for block in blocks()} == {"sh", "python"}


@pytest.mark.needs("docker", "podman", "bubblewrap", "make")
def test_the_commands_do_what_the_readme_says(home, tmp_path):
    copy = copy_of_the_project(tmp_path / "project")
    programs = environment(copy / ".venv")
    hold_to_their_word(blocks(), copy, variables(home, programs))


@pytest.mark.needs("docker", "bubblewrap")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_do_what_a_page_says(home, tmp_path, page):
    programs = Path(sys.executable).parent
    with ModelApi(HAIKU) as api:
        account = {"ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": api.url}
        environment = {**variables(home, programs), "PYTHONPATH": str(ROOT), **account}
        hold_to_their_word(blocks(page.read_text(encoding="utf-8")), tmp_path, environment)


def hold_to_their_word(found: list[Block], folder: Path, environment: dict[str, str]) -> None:
    """Run the blocks as one session of a shell, and see that each printed what stands below it."""
    run = [block for block in found if not block.why_not]
    session = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(block.commands for block in run)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert session.returncode == 0, session.stdout
    for block in run:
        _, _, after = session.stdout.partition(f"{block.mark}\n")
        printed = after.partition("=== line")[0]
        assert missing_from(block.shown, printed) == [], printed


@pytest.mark.parametrize("command", sorted(set(_INLINE.findall(README))))
def test_commands_in_the_text_exist_with_their_options(command):
    words = shlex.split(command)
    options = [word for word in words if word.startswith("--")]
    names = words[1 : words.index(options[0])] if options else words[1:]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ccnb"), *names, "--help"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [option for option in options if option not in done.stdout] == []
