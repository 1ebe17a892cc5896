"""What is known of a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccnb.render.grid import Cell, Grid


def token_table(token: Mapping[str, Any]) -> Grid:
    """Return a row for each thing that is known: a mapping of what `ccnb.token().to_dict()` gives."""
    rows: list[tuple[str, str | Cell]] = [
        ("token", f"{token['masked']}  {token['kind']}"),
        (
            "found in",
            token["where"] if token["source"] != "environment" else f"{token['where']} (environment)",
        ),
        ("expires", Cell(token["expiry"], "yellow" if token["expires_at"] else "")),
    ]
    known = [
        ("plan", token["plan"]),
        ("scopes", " ".join(token["scopes"])),
        ("rate limit", token["rate_limit_tier"]),
    ]
    rows += [(name, value) for name, value in known if value]
    rows += [("warning", Cell(text, "yellow")) for text in token["warnings"]]
    return Grid(("", ""), [(Cell(name, "dim"), value) for name, value in rows], whole=frozenset({0}))
