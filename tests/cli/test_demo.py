"""`ccnb demo`: the task in each mode, then the modes against each other, then a page."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

DEAD = {"DOCKER_HOST": "unix:///nowhere.sock", "CONTAINER_HOST": "unix:///nowhere.sock"}


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Return the file into which a browser on a screen writes what it was told to open."""
    browser, told = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" >{told}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return told


@pytest.mark.needs("bubblewrap")
def test_it_needs_no_engine_and_no_account_and_ends_in_a_page(cli, opened):
    done = cli("demo", "-n", "2", **DEAD)
    assert done.code == 0, done.out + done.err
    for name in ("docker", "podman"):
        assert f"{name} is left out: no {name} engine answers" in done.err
    for words in ("▸ Bash sh wordcount.sh sample.txt", "success, check passed", "wordcount.sh"):
        assert words in done.out
    assert "And 2 times more in each" in done.out
    assert "2 of 2 runs count, of 1 arm in 2 shuffled blocks" in done.out
    last = done.out.splitlines()[-1]
    assert last.startswith("report: ")
    page = Path(last.removeprefix("report: ")).read_text()
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert not opened.exists()


def test_with_no_mode_ready_nothing_is_compared(cli):
    done = cli("demo", "-m", "docker", "--json", **DEAD)
    assert done.code == 3
    (record,) = map(json.loads, done.out.splitlines())
    assert record["outcome"] == "infrastructure"


@pytest.mark.needs("bubblewrap")
def test_at_a_terminal_with_a_screen_the_page_is_opened(terminal, opened):
    demo = terminal("demo", "-m", "local", "-n", "1")
    assert demo.end() == 0, demo.seen
    assert opened.read_text().strip().endswith("/report.html")
