"""Which image an app's machines run: what was pushed last, written down with its digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccnb.errors import ImageError
from ccnb.fly.settings import Settings

FILE = "fly.json"


def known(settings: Settings, home: Path) -> str:
    """Return the image that is named, else the one that was pushed for the app last, by the store's notes.

    Raises
    ------
    ImageError
        There is none.
    """
    if settings.image:
        return settings.image
    entry = _read(home / FILE).get(settings.app, {})
    if not entry.get("image"):
        raise ImageError(f"no image was pushed for app {settings.app!r} of Fly.io; run `ccnb fly build`")
    return str(entry["image"])


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(settings: Settings, image: str, home: Path) -> None:
    """Write down what was pushed for an app."""
    path = home / FILE
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps({**_read(path), settings.app: {"image": image}}, indent=1))
    scratch.replace(path)
