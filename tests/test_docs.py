"""The pages in docs/ are held to their word as README.md is."""

from __future__ import annotations

import os
import re
import shlex
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.documents import blocks_of, hold, session_of, show_cells
from tests.modelapi import API_KEY, ModelApi
from tests.newcomer import ROOT, copy_of_the_project, variables
from tools.commands import commands
from tools.docs import made

QUICK_START = ROOT / "docs" / "quick-start.md"
PAGES = sorted(set((ROOT / "docs").glob("*.md")) - {QUICK_START})
HAIKU = """
- say: I write it down.
  tools: [Write: {file_path: $CWD/haiku.txt, content: "Not one word is lost."}]
- It is in haiku.txt.
"""
"""What the model answers where a page asks it."""


@pytest.mark.needs("docker", "bubblewrap")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_do_what_the_page_says(home, tmp_path, page):
    programs = Path(sys.executable).parent
    env = os.environ | {"CCNB_HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    run = [block for block in blocks_of(page) if block.is_run]
    with ModelApi(HAIKU) as api:
        account = {"ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": api.url}
        hold(run, session_of(run, tmp_path, env | account))


@pytest.mark.needs("docker", "bubblewrap")
def test_the_quick_start_needs_nothing_that_it_does_not_say(home, tmp_path):
    """Its commands in a copy of the project, as somebody has it who has just come; then its cells.

    What it installs is found among our packages, so that nothing is downloaded.
    """
    copy = copy_of_the_project(tmp_path / "project")
    programs = copy / ".venv" / "bin"
    env = variables(home, Path(sys.base_prefix) / "bin")
    env |= {"HOME": str(tmp_path), "PYTHONPATH": sysconfig.get_path("purelib")}
    run = [block for block in blocks_of(QUICK_START) if block.is_run]
    hold(run, session_of(run, copy, env))
    cells = [block for block in blocks_of(QUICK_START) if block.kind == "ipython"]
    hold(cells, show_cells(cells, programs / "python", tmp_path, env))


@pytest.mark.parametrize("page", [*PAGES, QUICK_START], ids=lambda page: page.name)
def test_few_blocks_are_not_run_and_each_says_why(page):
    blocks = blocks_of(page)
    left_out = [block for block in blocks if block.why_not]
    assert len(left_out) <= 5
    assert all(len(block.why_not) > 10 for block in left_out)
    assert {block.kind for block in blocks} <= {"sh", "python", "ipython", "toml"}
    assert [block for block in blocks if block.kind == "toml" and not block.text.startswith("--8<--")] == []


def test_what_is_made_of_the_code_is_as_the_code_makes_it():
    stale = [name for name, text in made().items() if (ROOT / "docs" / name).read_text() != text]
    assert stale == [], "run python -m tools.docs"


@pytest.mark.parametrize("page", [*PAGES, QUICK_START], ids=lambda page: page.name)
def test_commands_in_the_text_exist_with_their_options(page):
    known = dict(commands())
    wrong = []
    for line in re.findall(r"`(ccnb [^`]+)`", page.read_text()):
        words = shlex.split(line)
        if words[1] in ("COMMAND", "--version"):
            continue
        names = [name for name in known if words[: len(name.split())] == name.split()]
        taken = {option for name in names[-1:] for one in known[name].params for option in one.opts}
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        wrong += [line] if not names or options - taken else []
    assert wrong == []


@pytest.mark.parametrize("page", [*PAGES, QUICK_START], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
