"""Looking for a word in all files below a folder, beside others that write there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, from which others may remove whole folders meanwhile, as locks."""
    for parent, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(parent, name)).is_file())


def files_with(text: str, folder: Path) -> list[str]:
    """Return the files below a folder that have a text in them."""
    return [str(path) for path in files_below(folder) if text.encode() in content_of(path)]


def content_of(path: Path) -> bytes:
    """Return what is in a file: nothing where it went meanwhile, as SQLite's and the gateway's own may."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
