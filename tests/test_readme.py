"""README.md is held to its word: its commands are run in order, and print what it says they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import Block, blocks_of, hold, session_of
from tests.newcomer import ROOT, copy_of_the_project, environment, variables

README = (ROOT / "README.md").read_text(encoding="utf-8")
_INLINE = re.compile(r"`(ccnb [^`]+)`")


def blocks() -> list[Block]:
    return blocks_of(ROOT / "README.md")


def test_few_blocks_are_not_run_and_each_says_why():
    left_out = [block for block in blocks() if block.why_not]
    assert len(left_out) <= 5
    assert all(len(block.why_not) > 10 for block in left_out)
    assert {block.kind for block in blocks()} == {"sh", "python"}


@pytest.mark.needs("docker", "podman", "bubblewrap", "make")
def test_the_commands_do_what_the_readme_says(home, tmp_path):
    copy = copy_of_the_project(tmp_path / "project")
    programs = environment(copy / ".venv")
    run = [block for block in blocks() if not block.why_not]
    hold(run, session_of(run, copy, variables(home, programs)))


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
