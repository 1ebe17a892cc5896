"""What a run changed: noticed to the byte, given as a patch that fits, the person's own git untouched."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccnb.errors import CcnbError, SpecError
from ccnb.runner import workspace as workspaces
from ccnb.store import RunFolder
from tests.waiting import wait_for

PERSON = {
    "GIT_AUTHOR_NAME": "p",
    "GIT_AUTHOR_EMAIL": "p@x",
    "GIT_COMMITTER_NAME": "p",
    "GIT_COMMITTER_EMAIL": "p@x",
}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.make()
    return folder


@pytest.fixture
def workspace(tmp_path):
    workspace = tmp_path / "above" / "workspace"
    workspace.mkdir(parents=True)
    return workspace


def git(where, *arguments):
    env = os.environ | PERSON | {"GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(["git", *arguments], cwd=where, env=env, check=True, capture_output=True).stdout


def repository(where):
    where.mkdir(parents=True, exist_ok=True)
    git(where, "init", "--quiet")
    (where / "committed.txt").write_text("committed\n")
    git(where, "add", ".")
    git(where, "commit", "--quiet", "-m", "one")


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def tree(root):
    """Return all files below a folder with what they hold, links with where they lead; no `.git`."""
    found = {}
    for base, names, files in os.walk(root):
        if ".git" in names:
            names.remove(".git")
        for name in (*files, *(n for n in names if Path(base, n).is_symlink())):
            path = Path(base, name)
            content = (
                path.readlink() if path.is_symlink() else (path.read_bytes(), path.stat().st_mode & 0o100)
            )
            found[str(path.relative_to(root))] = content
    return found


def digest(root):
    """Return a digest of each file below a folder, with its time."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def seen(folder, workspace, before):
    return {file.path: file.change for file in workspaces.changes(folder, workspace, before)}


def carried_over(folder, workspace, change):
    """Change a workspace, apply the patch to a copy of the original, and return that copy."""
    original = folder.path / "original"
    shutil.copytree(workspace, original, symlinks=True)
    before = workspaces.snapshot(folder, workspace)
    change()
    workspaces.changes(folder, workspace, before)
    workspaces.apply(workspaces.patch(folder, workspace, before), original)
    return original


# Making one


def test_a_named_workspace_is_used_itself_and_a_fresh_one_is_kept_with_the_run(folder, workspace):
    assert workspaces.make(folder, str(workspace), copy=False) == workspace
    fresh = workspaces.make(folder, None, copy=False)
    assert fresh == folder.workspace
    (fresh / "made").touch()
    assert workspaces.make(folder, None, copy=False) == fresh  # who attaches finds it as it is
    assert (fresh / "made").exists()


def test_a_copy_leaves_the_original_alone_and_is_made_once(folder, workspace):
    write(workspace, {"a.txt": "a", "deep/b.txt": "b"})
    (workspace / "link").symlink_to("a.txt")
    (workspace / "dangling").symlink_to("nowhere")
    copy = workspaces.make(folder, str(workspace), copy=True)
    assert tree(copy) == tree(workspace)
    (copy / "a.txt").write_text("changed")
    assert workspaces.make(folder, str(workspace), copy=True) == copy
    assert (copy / "a.txt").read_text() == "changed"
    assert (workspace / "a.txt").read_text() == "a"


def test_a_workspace_must_be_a_folder(tmp_path):
    (tmp_path / "file").touch()
    workspaces.check(None)
    workspaces.check(str(tmp_path))
    with pytest.raises(SpecError, match="isn't there"):
        workspaces.check(str(tmp_path / "none"))
    with pytest.raises(SpecError, match="is a file"):
        workspaces.check(str(tmp_path / "file"))


# What changed


def test_made_changed_and_removed_files_are_told(folder, workspace):
    write(workspace, {"same": "s", "changed": "c", "removed": "r", "deep/er/removed": "r"})
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"changed": "new", "deep/made": "twelve bytes"})
    (workspace / "removed").unlink()
    shutil.rmtree(workspace / "deep" / "er")
    found = {file.path: file for file in workspaces.changes(folder, workspace, before)}
    assert {path: file.change for path, file in found.items()} == {
        "changed": "changed",
        "removed": "removed",
        "deep/er/removed": "removed",
        "deep/made": "made",
    }
    assert (found["deep/made"].size_bytes, found["removed"].size_bytes) == (12, 0)


def test_an_empty_folder_has_a_state_too(folder, workspace):
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"made": "m"})
    assert seen(folder, workspace, before) == {"made": "made"}


def test_where_nothing_changed_there_is_nothing(folder, workspace):
    write(workspace, {"a": "a"})
    before = workspaces.snapshot(folder, workspace)
    os.utime(workspace / "a", (1, 1))
    assert seen(folder, workspace, before) == {}
    assert workspaces.patch(folder, workspace, before).read_bytes() == b""
    workspaces.apply(folder.patch, workspace)


def test_a_change_that_only_its_bytes_tell_is_seen_however_soon_it_came(folder, workspace):
    file = workspace / "a"
    while True:
        write(workspace, {"a": "one"})
        begun = int(file.stat().st_ctime)
        before = workspaces.snapshot(folder, workspace)
        write(workspace, {"a": "two"})
        # To git, which counts whole seconds, the file has the status that it had.
        if int(file.stat().st_ctime) == begun:
            break
    # A run seldom ends in the second in which its agent begins.
    wait_for(lambda: int(time.time()) > begun)
    assert seen(folder, workspace, before) == {"a": "changed"}


def test_ignored_files_and_our_own_sign_are_left_out(folder, workspace):
    write(workspace, {".gitignore": "*.log\nbuild/\n", "old.log": "1"})
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"new.log": "2", "old.log": "3", "build/x": "4", "kept": "5", workspaces.SENTINEL: ""})
    assert seen(folder, workspace, before) == {"kept": "made"}


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "new\nline",
        'quo"te',
        "-dash",
        ":(glob)*",
        "tab\t",
        "é",
        b"\xff\xfe".decode(errors="surrogateescape"),
    ],
)
def test_a_file_of_any_name_is_carried_over(folder, workspace, name):
    write(workspace, {"before": "b"})
    copy = carried_over(
        folder, workspace, lambda: write(workspace, {name: "made", f"{name}.d/{name}": "deep"})
    )
    assert tree(copy) == tree(workspace)
    assert name in tree(copy)


def test_what_a_file_holds_is_carried_over_to_the_byte(folder, workspace):
    binary = bytes(range(256)) * 9
    write(
        workspace,
        {"crlf": "a\r\nb\r\nc\r\n", "binary": binary, "run.sh": "#!/bin/sh\n", "empty": "", "no-end": "x"},
    )
    write(
        workspace,
        {
            ".gitattributes": "* text=auto eol=lf\n*.sh text eol=crlf\nident ident\n"
            "*.w working-tree-encoding=UTF-16\n"
        },
    )
    (workspace / "link").symlink_to("crlf")

    def change():
        write(
            workspace,
            {"crlf": "a\r\nB\r\nc\r\n", "mixed": "a\nb\r\nc\r", "binary": binary[::-1], "no-end": "x\r\ny"},
        )
        write(
            workspace,
            {
                "made.bin": os.urandom(3000),
                "ident": "$Id$\n$Id: x $\n",
                "x.sh": "a\nb\r\n",
                "x.w": "a\n",
                "made-empty": "",
            },
        )
        (workspace / "run.sh").chmod(0o755)
        (workspace / "empty").unlink()
        (workspace / "link").unlink()
        (workspace / "link").symlink_to("elsewhere/that/is/not")

    copy = carried_over(folder, workspace, change)
    assert tree(copy) == tree(workspace)
    assert (copy / "mixed").read_bytes() == b"a\nb\r\nc\r"


def test_line_ends_stay_in_a_repository_that_would_change_them(folder, workspace):
    repository(workspace)
    git(workspace, "config", "core.autocrlf", "true")
    write(workspace, {".gitattributes": "* text=auto\n", "crlf": "a\r\nb\r\n", "lf": "a\nb\n"})
    copy = carried_over(
        folder, workspace, lambda: write(workspace, {"crlf": "A\r\nb\r\n", "lf": "A\nb\n", "made": "a\nb\n"})
    )
    assert tree(copy) == tree(workspace)


def test_a_folder_becomes_a_file_and_a_file_a_folder_or_a_link(folder, workspace):
    write(workspace, {"folder/a": "a", "file": "f", "other": "o"})

    def change():
        shutil.rmtree(workspace / "folder")
        (workspace / "file").unlink()
        (workspace / "other").unlink()
        write(workspace, {"folder": "now a file", "file/a": "now in a folder"})
        (workspace / "other").symlink_to("folder")

    copy = carried_over(folder, workspace, change)
    assert tree(copy) == tree(workspace)


names = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h", "i.bin", ".hidden"])
contents = st.binary(max_size=30) | st.lists(
    st.sampled_from([b"one", b"two\r", b"", b"three"]), max_size=6
).map(b"\n".join)
trees = st.dictionaries(names, contents, max_size=6)


@settings(max_examples=25, deadline=None)
@given(before=trees, after=trees)
def test_the_patch_makes_of_the_old_tree_the_new_one(before, after):
    root = Path(tempfile.mkdtemp())
    try:
        folder, workspace = RunFolder(root / "run"), root / "workspace"
        folder.make()
        workspace.mkdir()
        write(workspace, before)

        def change():
            for name in before:
                (workspace / name).unlink()
            write(workspace, after)

        assert tree(carried_over(folder, workspace, change)) == {
            name: (data, 0) for name, data in after.items()
        }
    finally:
        shutil.rmtree(root)


def test_what_the_agent_makes_in_repositories_of_its_own_is_carried_over(folder, workspace):
    """`git init` in a sub-folder, or a clone: git itself would leave out all that is in them."""
    write(workspace, {"top": "t"})

    def change():
        repository(workspace / "cloned")
        write(workspace / "cloned", {"more.txt": "m", ".gitignore": "*.log\n", "x.log": "ignored"})
        git(workspace, "init", "--quiet", "begun [1]")
        write(workspace, {"begun [1]/src/main.py": "print()"})
        git(workspace, "init", "--quiet", "begun [1]/src/inner")
        write(workspace, {"begun [1]/src/inner/deep.txt": "d", "z": "after them"})

    copy = carried_over(folder, workspace, change)
    wanted = tree(workspace)
    del wanted["cloned/x.log"]
    assert tree(copy) == wanted
    assert "begun [1]/src/inner/deep.txt" in wanted
    assert list(copy.rglob(".git")) == []


def test_changes_in_repositories_that_were_there_are_seen(folder, workspace):
    repository(workspace / "sub")
    git(workspace, "init", "--quiet", "begun")
    write(workspace, {"begun/a": "a", "begun/b": "b"})
    before = workspaces.snapshot(folder, workspace)
    own = {path: digest(workspace / path) for path in ("sub/.git", "begun/.git")}
    write(workspace, {"sub/committed.txt": "changed", "sub/new": "n", "begun/a": "changed"})
    (workspace / "begun" / "b").unlink()
    assert seen(folder, workspace, before) == {
        "sub/committed.txt": "changed",
        "sub/new": "made",
        "begun/a": "changed",
        "begun/b": "removed",
    }
    assert {path: digest(workspace / path) for path in own} == own


def test_a_file_that_cannot_be_read_hides_no_other(folder, workspace):
    write(workspace, {"a": "a"})
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"b": "b"})
    os.mkfifo(workspace / "pipe")
    assert seen(folder, workspace, before) == {"b": "made"}


# Applying


def test_a_patch_that_does_not_fit_changes_nothing(folder, workspace):
    write(workspace, {"a": "one\n", "b": "one\n"})
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"a": "two\n", "b": "two\n", "c": "made\n"})
    workspaces.changes(folder, workspace, before)
    patch = workspaces.patch(folder, workspace, before)
    target = folder.path / "target"
    write(target, {"a": "one\n", "b": "quite different\n"})
    was = tree(target)
    with pytest.raises(CcnbError, match=r"(?s)doesn't fit .*by hand"):
        workspaces.apply(patch, target)
    assert tree(target) == was


def test_a_repository_above_the_target_does_not_take_part(folder, workspace):
    write(workspace, {"a": "one\n"})
    original = workspace.parent / "copy"
    shutil.copytree(workspace, original)
    repository(workspace.parent)
    own = digest(workspace.parent / ".git")
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"a": "two\n", "b": "made\n"})
    assert seen(folder, workspace, before) == {"a": "changed", "b": "made"}
    workspaces.apply(workspaces.patch(folder, workspace, before), original)
    assert tree(original) == tree(workspace)
    assert digest(workspace.parent / ".git") == own


def test_the_variables_of_a_git_that_runs_us_do_not_take_part(folder, workspace, tmp_path, monkeypatch):
    repository(tmp_path / "other")
    own = digest(tmp_path / "other" / ".git")
    places = {
        "GIT_DIR": ".git",
        "GIT_INDEX_FILE": ".git/index",
        "GIT_OBJECT_DIRECTORY": ".git/objects",
        "GIT_WORK_TREE": ".",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, str(tmp_path / "other" / value))
    write(workspace, {"a": "one\n"})
    original = folder.path / "original"
    shutil.copytree(workspace, original)
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"a": "two\n"})
    workspaces.changes(folder, workspace, before)
    workspaces.apply(workspaces.patch(folder, workspace, before), original)
    assert tree(original) == tree(workspace)
    assert digest(tmp_path / "other" / ".git") == own


def test_nothing_leaves_the_target(folder, tmp_path):
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "way-out").symlink_to(outside)
    for name in ("../outside/a", "way-out/a"):
        folder.patch.write_text(
            f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
            f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n"
        )
        with pytest.raises(CcnbError):
            workspaces.apply(folder.patch, target)
    assert list(outside.iterdir()) == []


# The person's own git


def test_the_persons_own_repository_is_not_touched(folder, workspace):
    repository(workspace)
    write(workspace, {"committed.txt": "not committed yet\n", "staged": "s", "loose": "l"})
    git(workspace, "add", "staged")
    status = git(workspace, "status", "--porcelain")  # which writes the index
    own = digest(workspace / ".git")
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"made": "m"})
    assert seen(folder, workspace, before) == {"made": "made"}
    workspaces.patch(folder, workspace, before)
    assert digest(workspace / ".git") == own
    (workspace / "made").unlink()
    assert git(workspace, "status", "--porcelain") == status


def test_nothing_that_the_workspace_asks_git_to_run_is_run(folder, workspace, tmp_path):
    repository(workspace)
    proof = tmp_path / "proof"
    hook = workspace / ".git" / "hooks" / "post-index-change"
    write(
        workspace,
        {
            ".git/hooks/post-index-change": f"#!/bin/sh\ntouch {proof}\n",
            ".gitattributes": "* filter=evil diff=evil\n",
        },
    )
    hook.chmod(0o755)
    for key in (
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.fsmonitor",
    ):
        git(workspace, "config", key, f"touch {proof}; cat")
    proof.unlink(missing_ok=True)
    before = workspaces.snapshot(folder, workspace)
    write(workspace, {"made": "m", "committed.txt": "changed"})
    workspaces.changes(folder, workspace, before)
    workspaces.patch(folder, workspace, before)
    assert not proof.exists()


def test_the_private_folder_is_private(folder, workspace):
    write(workspace, {"a": "secret"})
    workspaces.snapshot(folder, workspace)
    assert (folder.path.stat().st_mode & 0o077) == 0
    assert not (workspace / ".git").exists()


# What runs by itself


@pytest.mark.parametrize(
    "path",
    [
        ".envrc",
        "deep/.envrc",
        ".mcp.json",
        ".claude/settings.json",
        "deep/er/.claude/settings.json",
        ".vscode/tasks.json",
        ".devcontainer/devcontainer.json",
        ".githooks/pre-commit",
        ".husky/pre-commit",
        ".idea/workspace.xml",
        ".pre-commit-config.yaml",
    ],
)
def test_a_file_that_programs_run_unasked_is_told(folder, workspace, path):
    before = workspaces.snapshot(folder, workspace)
    near = "not" + path.removeprefix("deep/").removeprefix("er/")
    write(workspace, {path: "x", "harmless": "y", near: "z"})
    found = {file.path: file.runs_by_itself for file in workspaces.changes(folder, workspace, before)}
    assert found == {path: True, "harmless": False, near: False}


def test_a_removed_one_runs_no_more(folder, workspace):
    write(workspace, {".envrc": "x"})
    before = workspaces.snapshot(folder, workspace)
    (workspace / ".envrc").unlink()
    (file,) = workspaces.changes(folder, workspace, before)
    assert not file.runs_by_itself


def test_one_who_was_killed_in_the_middle_is_no_hindrance(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.make()
    folder.workspace.mkdir()
    (folder.workspace / "a.txt").write_text("a\n")
    before = workspaces.snapshot(folder, folder.workspace)
    (folder.path / "git" / "index.lock").touch()
    (folder.path / "git.new").mkdir()
    (folder.workspace / "b.txt").write_text("b\n")
    assert [c.path for c in workspaces.changes(folder, folder.workspace, before)] == ["b.txt"]


def test_a_git_url_is_cloned_at_its_ref(folder, tmp_path):
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "a.txt").write_text("first\n")
    ours = ["git", "-C", str(origin), "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*ours, *arguments], check=True)
    (origin / "a.txt").write_text("second\n")
    subprocess.run([*ours, "commit", "-qam", "two"], check=True)
    url = f"file://{origin}#v1"
    workspaces.check(url)
    clone = workspaces.make(folder, url, copy=False)
    assert clone == folder.workspace
    assert (clone / "a.txt").read_text() == "first\n"
    assert workspaces.make(folder, url, copy=False) == clone  # who attaches finds it as it is


def test_a_url_that_cannot_be_cloned_says_why(folder, tmp_path):
    with pytest.raises(CcnbError, match="see that git can"):
        workspaces.make(folder, f"file://{tmp_path}/nowhere", copy=False)
