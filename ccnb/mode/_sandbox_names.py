"""The names of sandboxes: they have no labels, so a name says whose one is, a run's or a lasting one's."""

from __future__ import annotations

import re

_OF_A_RUN = re.compile(r"ccnb-([0-9a-f]{6})-(\d{6})(\d{6})(\w+)")
_THAT_LASTS = re.compile(r"ccnb-([0-9a-f]{6})-([a-z][a-z0-9-]*)")


def name_for_run(store_id: str, run_id: str) -> str:
    """Return the name of a run's own sandbox: short, for it becomes part of a socket's path."""
    return f"ccnb-{store_id[:6]}-{run_id.replace('-', '')}"


def run_of(name: str, store_id: str) -> str | None:
    """Return the run whose own sandbox has a name; `None` when it isn't of this store."""
    found = _OF_A_RUN.fullmatch(name)
    return "-".join(found.groups()[1:]) if found and found[1] == store_id[:6] else None


def name_that_lasts(store_id: str, name: str) -> str:
    """Return the name that the programs know a lasting sandbox by."""
    return f"ccnb-{store_id[:6]}-{name}"


def lasting_of(name: str, store_id: str) -> str | None:
    """Return what a person calls a lasting sandbox; `None` when it is none of this store."""
    found = _THAT_LASTS.fullmatch(name)
    return found[2] if found and found[1] == store_id[:6] else None
