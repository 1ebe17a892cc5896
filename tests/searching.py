"""Looking for a word in all files below a folder, beside others that write there."""

from __future__ import annotations

from pathlib import Path


def files_with(text: str, folder: Path) -> list[str]:
    """Return the files below a folder that have a text in them."""
    return [str(p) for p in folder.rglob("*") if p.is_file() and text.encode() in content_of(p)]


def content_of(path: Path) -> bytes:
    """Return what is in a file: nothing where it went meanwhile, as SQLite's and the gateway's own may."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
