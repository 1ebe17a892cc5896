"""What runs by itself is found wherever it lies, whether git looks there or not."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ccnb.runner.planted import planted, watched_state
from tests.runner.test_workspace import repository, write


@pytest.fixture
def workspace(tmp_path):
    return tmp_path


@pytest.mark.parametrize("new", [True, False], ids=["made", "changed"])
@pytest.mark.parametrize("path", [".git/hooks/pre-commit", ".git/hooks/post-checkout", ".git/config"])
def test_what_is_planted_in_the_persons_git_is_told(workspace, path, new):
    (workspace / ".git" / "hooks").mkdir(parents=True)
    write(
        workspace,
        {".git/hooks/pre-push": "mine", ".git/hooks/x.sample": "s"} | ({} if new else {path: "mine"}),
    )
    before = watched_state(workspace)
    assert planted(workspace, before) == []
    write(workspace, {path: "evil", ".git/hooks/y.sample": "never run", ".git/index": "x"})
    (found,) = planted(workspace, before)
    assert (found.path, found.change, found.runs_by_itself) == (path, "made" if new else "changed", True)


def test_a_hook_that_is_a_link_is_told(workspace):
    (workspace / ".git" / "hooks").mkdir(parents=True)
    before = watched_state(workspace)
    write(workspace, {"evil.sh": "x"})
    (workspace / ".git" / "hooks" / "pre-commit").symlink_to("../../evil.sh")
    assert [file.path for file in planted(workspace, before)] == [".git/hooks/pre-commit"]
    again = watched_state(workspace)
    assert planted(workspace, again) == []


def test_a_folder_of_hooks_that_became_a_link_is_told(workspace):
    (workspace / ".git" / "hooks").mkdir(parents=True)
    before = watched_state(workspace)
    (workspace / ".git" / "hooks").rmdir()
    (workspace / "evil").mkdir()
    (workspace / ".git" / "hooks").symlink_to("../evil")
    assert [file.path for file in planted(workspace, before)] == [".git/hooks"]


def test_where_there_was_no_git_a_whole_new_one_is_told(workspace):
    before = watched_state(workspace)
    assert before == {}
    repository(workspace)
    assert [file.path for file in planted(workspace, before)] == [".git/config"]


@pytest.mark.parametrize("path", [".envrc", "deep/.vscode/tasks.json", "deep/er/.claude/settings.json"])
def test_a_file_that_git_is_told_to_ignore_is_told(workspace, path):
    write(workspace, {".gitignore": "*"})
    before = watched_state(workspace)
    write(workspace, {path: "x", "harmless": "y"})
    assert [(file.path, file.change) for file in planted(workspace, before)] == [(path, "made")]


def test_the_hooks_of_a_repository_inside_are_told(workspace):
    repository(workspace / "vendor" / "inner")
    before = watched_state(workspace)
    write(workspace, {"vendor/inner/.git/hooks/pre-commit": "evil", "vendor/inner/.git/objects/x": "x"})
    assert [file.path for file in planted(workspace, before)] == ["vendor/inner/.git/hooks/pre-commit"]


def test_a_file_that_leads_git_elsewhere_is_told(workspace):
    write(workspace, {"elsewhere/hooks/pre-commit": "evil", "sub/.git": "gitdir: ../elsewhere"})
    assert [file.path for file in planted(workspace, {})] == ["sub/.git"]


def test_what_can_block_or_cannot_be_read_is_no_hindrance(workspace):
    (workspace / ".vscode").mkdir()
    for name in (".vscode/pipe", ".mcp.json"):
        os.mkfifo(workspace / name)
    (workspace / ".envrc").symlink_to("nowhere")
    assert sorted(file.path for file in planted(workspace, {})) == [".envrc", ".mcp.json"]


def test_what_comes_and_goes_meanwhile_is_no_hindrance(workspace):
    """Without a wall, what the agent left running goes on until its results are there."""
    (workspace / ".vscode").mkdir()
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            for number in range(20):
                (workspace / ".vscode" / f"brief{number}").touch()
            for number in range(20):
                (workspace / ".vscode" / f"brief{number}").unlink()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(come_and_go)
        try:
            for _ in range(300):
                planted(workspace, {})
        finally:
            over.set()
        coming.result()
