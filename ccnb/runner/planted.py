"""What in a workspace runs by itself once a person opens it: found whatever git is told to ignore."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ccnb.results import FileChange

_FILES = frozenset({".envrc", ".mcp.json", ".pre-commit-config.yaml"})
_FOLDERS = frozenset({".claude", ".devcontainer", ".githooks", ".husky", ".idea", ".vscode"})
_OF_GIT = ("config", "hooks")
"""Of a repository's own folder; a file `.git` leads to one that lies elsewhere."""


def runs_by_itself(path: str) -> bool:
    """Return whether tools run a file of this name without being asked."""
    parts = path.split("/")
    if parts[-1] in _FILES or parts[-1] == ".git" or not _FOLDERS.isdisjoint(parts[:-1]):
        return True
    return ".git" in parts and parts[parts.index(".git") + 1] in _OF_GIT


def watched_state(workspace: Path) -> dict[str, str]:
    """Return digests of all files that run by themselves, the ignored and git's own included."""
    return {
        os.path.relpath(path, workspace): hashlib.sha256(_content(path)).hexdigest()
        for path in _watched(workspace)
    }


def planted(workspace: Path, before: dict[str, str]) -> list[FileChange]:
    """Return which of them were made or changed since `watched_state`."""
    return [
        FileChange(path, "changed" if path in before else "made", _size(workspace / path), True)
        for path, digest in watched_state(workspace).items()
        if before.get(path) != digest
    ]


def _size(path: Path) -> int:
    """Return a file's bytes; none where it has gone since it was seen."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _watched(workspace: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(workspace):
        yield from (Path(root, name) for name in names if name in _FILES or name == ".git")
        for name in _FOLDERS.intersection(folders):
            yield from _all_files(Path(root, name))
        if ".git" in folders:
            for name in _OF_GIT:
                yield from _all_files(Path(root, ".git", name))
        folders[:] = [name for name in folders if name != ".git" and name not in _FOLDERS]


def _all_files(path: Path) -> Iterator[Path]:
    """Yield a file, a link, or all files and links in a folder; no link is followed."""
    if path.is_symlink() or path.is_file():
        yield path
        return
    for root, folders, names in os.walk(path):
        for name in sorted(names + folders):
            file = Path(root, name)
            if file.is_symlink() or (file.is_file() and file.suffix != ".sample"):
                yield file


def _content(path: Path) -> bytes:
    """Return what a file holds; of a link, where it leads; nothing of what can't be read or would block."""
    try:
        if path.is_symlink():
            return os.fsencode(path.readlink())
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
