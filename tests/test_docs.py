"""The pages in docs/ are held to their word as README.md is."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.documents import blocks_of, hold, session_of
from tests.modelapi import API_KEY, ModelApi
from tests.newcomer import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
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
    run = [block for block in blocks_of(page) if not block.why_not]
    with ModelApi(HAIKU) as api:
        account = {"ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": api.url}
        hold(run, session_of(run, tmp_path, env | account))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_few_blocks_are_not_run_and_each_says_why(page):
    left_out = [block for block in blocks_of(page) if block.why_not]
    assert len(left_out) <= 5
    assert all(len(block.why_not) > 10 for block in left_out)


def test_the_pictures_are_as_their_script_draws_them():
    script = runpy.run_path(str(ROOT / "docs" / "token_pictures.py"))
    for picture in script["PICTURES"]:
        assert (ROOT / "docs" / f"token-{picture.name}.svg").read_text() == script["draw"](picture)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
