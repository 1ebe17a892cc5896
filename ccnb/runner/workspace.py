"""What a run changed: the workspace before and after, in a private git folder, never the person's own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from ccnb.errors import CcnbError, SpecError
from ccnb.results import FileChange
from ccnb.runner.planted import runs_by_itself
from ccnb.spec import git_url
from ccnb.store import RunFolder

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's name for a folder with nothing in it, known to every git."""

SENTINEL = ".ccnb-sentinel"

_BEFORE, _AFTER = "index", "index-after"

_CHANGES = {"A": "made", "D": "removed"}
_CONFIG = """[core]
\trepositoryformatversion = 0
\tbare = false
\tautocrlf = false
\tlooseCompression = 1
\thooksPath = /dev/null
\tfsmonitor = false
\tuntrackedCache = false
[gc]
\tauto = 0
"""


def check(path: str | None, *, copy: bool = False) -> None:
    """See that a named workspace is a folder to work in, or to copy; whether a URL can be cloned shows later.

    Raises
    ------
    SpecError
    """
    if path is None or git_url(path):
        return
    if not Path(path).exists():
        raise SpecError(f"workspace {path} isn't there; make it, or name another folder")
    if not Path(path).is_dir():
        raise SpecError(f"workspace {path} is a file; name a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise SpecError(f"workspace {path} can't be read by you; name another folder")
    if not copy and not os.access(path, os.W_OK):
        raise SpecError(f"workspace {path} can't be written by you; name another folder, or say copy=True")


def location(folder: RunFolder, named: str | None, *, copy: bool) -> Path:
    """Return where the agent works, made or not."""
    return folder.workspace if named is None or copy or git_url(named) else Path(named)


def make(folder: RunFolder, named: str | None, *, copy: bool) -> Path:
    """Return the folder that the agent will work in: a named one, a copy of it, a clone, or a fresh one.

    Raises
    ------
    CcnbError
        The named one can't be copied or cloned.
    """
    place = location(folder, named, copy=copy)
    if place != folder.workspace:
        return place
    if named is not None and not folder.workspace.exists():
        # A copy that was cut short is not taken for the whole.
        scratch = folder.path / "workspace.new"
        shutil.rmtree(scratch, ignore_errors=True)
        source = git_url(named)
        if source:
            _clone(*source, scratch)
        else:
            _copy(named, scratch)
        scratch.rename(folder.workspace)
    folder.workspace.mkdir(exist_ok=True)
    return folder.workspace


def _copy(named: str, target: Path) -> None:
    try:
        shutil.copytree(named, target, symlinks=True)
        for folder, _, _ in os.walk(target):
            # Of what could only be read there the copy can be changed.
            Path(folder).chmod(Path(folder).stat().st_mode | stat.S_IRWXU)
    except (OSError, shutil.Error) as error:
        raise CcnbError(f"workspace {named} can't be copied ({error}); leave copy out, or mend it") from None


def _clone(url: str, ref: str, target: Path) -> None:
    """Clone what a branch or tag has now, with the person's own git, which may not ask them anything."""
    only = ["--branch", ref] if ref else []
    done = subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", *only, "--", url, str(target)],
        env={**_clean_environment(), "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CcnbError(f"{url} can't be cloned ({said[-1] if said else 'git failed'}); see that git can")


def snapshot(folder: RunFolder, workspace: Path) -> str:
    """Keep the workspace as it is now and return its tree's name. Ignored files are left out.

    Raises
    ------
    CcnbError
        git failed; the message has its words.
    """
    with os.scandir(workspace) as entries:
        if all(entry.name == SENTINEL for entry in entries):
            return EMPTY_TREE
    _init(folder)
    _take_in(folder, workspace)
    return _git(folder, workspace, "write-tree").decode().strip()


def changes(folder: RunFolder, workspace: Path, before: str) -> list[FileChange]:
    """Return the files that were made, changed or removed since a snapshot."""
    _init(folder)
    # The first index stays as it is: whoever is killed here begins anew from it.
    first, after = folder.path / "git" / _BEFORE, folder.path / "git" / _AFTER
    after.unlink(missing_ok=True)
    if first.exists():
        # With its time: git looks into a file of the index's own second, however little its status tells.
        shutil.copy2(first, after)
    if _is_as_indexed(folder, workspace, _AFTER):
        return []
    _take_in(folder, workspace, _AFTER)
    options = ("diff-index", "--cached", "--raw", "-z", "--no-renames")
    raw = _git(folder, workspace, *options, before, index=_AFTER)
    fields = raw.decode(errors="surrogateescape").split("\0")
    found = []
    for meta, path in zip(fields[::2], fields[1::2], strict=False):
        change = _CHANGES.get(meta.rsplit(" ", 1)[-1], "changed")
        found.append(_change(workspace, path, change))
    return found


def patch(folder: RunFolder, workspace: Path, before: str, *, empty: bool = False) -> Path:
    """Write the changes since a snapshot, as `changes` saw them, to the run's patch file.

    Where it saw none, `empty` saves a process.
    """
    if empty:
        folder.patch.touch()
    if not folder.patch.exists():
        _init(folder)
        scratch = folder.patch.with_suffix(".new")
        options = ("diff", "--cached", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv")
        with scratch.open("wb") as file:
            _git(folder, workspace, *options, before, output=file.fileno(), index=_AFTER)
        scratch.replace(folder.patch)
    return folder.patch


def apply(patch_file: Path, target: Path) -> None:
    """Apply a patch to a folder, all of it or nothing.

    Raises
    ------
    CcnbError
        It doesn't fit; the message has git's words.
    """
    if patch_file.stat().st_size == 0:
        return
    # By the private folder again: not by the rules of a repository that the target is, or lies in.
    folder = RunFolder(patch_file.parent)
    _init(folder)
    done = _run(folder, target, "apply", "--binary", "--whitespace=nowarn", str(patch_file.absolute()))
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise CcnbError(f"the patch doesn't fit {target} ({said}); apply {patch_file} by hand")


def _change(workspace: Path, path: str, change: str) -> FileChange:
    try:
        size = (workspace / path).lstat().st_size
    except OSError:
        size = 0
    return FileChange(path, change, size, change != "removed" and runs_by_itself(path))


def _init(folder: RunFolder) -> None:
    """Make the private git folder, whole or not at all.

    By hand: a process more would be paid for by every run.
    """
    place = folder.path / "git"
    if place.exists():
        # Whoever was killed in the middle of a change left its lock, and only one owns the run.
        for lock in place.glob("*.lock"):
            lock.unlink()
        return
    scratch = folder.path / "git.new"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "objects").mkdir(parents=True, mode=0o700)
    (scratch / "refs").mkdir()
    (scratch / "info").mkdir()
    (scratch / "HEAD").write_text("ref: refs/heads/main\n")
    (scratch / "config").write_text(_CONFIG)
    (scratch / "info" / "exclude").write_text(f"/{SENTINEL}\n")
    # Bytes as they are: no filter, no line ends, whatever the workspace's own attributes ask for.
    (scratch / "info" / "attributes").write_text("* -text -filter -ident -working-tree-encoding\n")
    scratch.rename(place)


def _is_as_indexed(folder: RunFolder, workspace: Path, index: str) -> bool:
    """Return whether the workspace is as an index has it. It often is, and this saves a process then."""
    look = ("ls-files", "--others", "--modified", "--deleted", "--exclude-standard", "-z")
    return not _git(folder, workspace, *look, index=index)


def _take_in(folder: RunFolder, workspace: Path, index: str = _BEFORE) -> None:
    """Bring an index of the private folder to the workspace as it is now; what can't be read is left.

    To git a repository inside (`git init` in a sub-folder, a clone) is one opaque entry, or none at all
    while it has no commit. To us it is files: it is taken in by itself and put in its place.
    """
    added = _run(folder, workspace, "add", "--all", "--ignore-errors", index=index)
    if not added.stderr:
        # git warns of each such repository, until the index holds its files.
        return
    inner = f"{index}-inner"
    for name in _repositories(folder, workspace, index):
        _take_in(folder, workspace / name, inner)
        tree = _git(folder, workspace / name, "write-tree", index=inner).decode().strip()
        (folder.path / "git" / inner).unlink(missing_ok=True)
        remove = ("rm", "-r", "--quiet", "--force", "--cached", "--ignore-unmatch", "--", name)
        _git(folder, workspace, "--literal-pathspecs", *remove, index=index)
        _git(folder, workspace, "read-tree", f"--prefix={name}/", tree, index=index)


def _repositories(folder: RunFolder, workspace: Path, index: str) -> list[str]:
    """Return the repositories in a workspace that the index has as one entry, or not at all."""
    staged = _git(folder, workspace, "ls-files", "--stage", "-z", index=index)
    others = ("ls-files", "--others", "--directory", "--no-empty-directory", "--exclude-standard", "-z")
    missing = _git(folder, workspace, *others, index=index)
    names = [entry.partition(b"\t")[2] for entry in staged.split(b"\0") if entry.startswith(b"160000 ")]
    names += [entry[:-1] for entry in missing.split(b"\0") if entry.endswith(b"/")]
    return [name for name in map(os.fsdecode, names) if os.path.lexists(workspace / name / ".git")]


def _git(
    folder: RunFolder,
    workspace: Path,
    *arguments: str,
    output: int = subprocess.PIPE,
    index: str = _BEFORE,
) -> bytes:
    done = _run(folder, workspace, *arguments, output=output, index=index)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise CcnbError(f"git {arguments[0]} failed in {workspace}: {said}; the files themselves are kept")
    return done.stdout or b""


def _run(
    folder: RunFolder,
    workspace: Path,
    *arguments: str,
    output: int = subprocess.PIPE,
    index: str = _BEFORE,
) -> subprocess.CompletedProcess[bytes]:
    place = folder.path.absolute() / "git"
    command = ["git", f"--git-dir={place}", f"--work-tree={workspace.absolute()}", *arguments]
    env = {
        **_clean_environment(),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_INDEX_FILE": str(place / index),
    }
    try:
        return subprocess.run(
            command, cwd=workspace, env=env, stdout=output, stderr=subprocess.PIPE, check=False
        )
    except FileNotFoundError:
        raise CcnbError("git isn't installed, and tells what a run changed; install git") from None


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
