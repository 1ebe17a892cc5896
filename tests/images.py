"""Images that tests build, one at a time."""

from __future__ import annotations

from typing import Any

from ccnb.engine import Engine
from tests.waiting import alone


def build(engine: Engine, name: str, **source: Any) -> str:
    """Build an image of a recipe or of an archive that has one; return its name."""
    # Two at once would make two images, and the one that tests began with would lose its name.
    with alone("images"):
        steps = engine.api.build(tag=name, rm=True, decode=True, **source)
        assert [step for step in steps if "error" in step] == []
    return name
