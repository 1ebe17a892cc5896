"""By what runs are chosen from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccnb import mode as modes
from ccnb.errors import SpecError, did_you_mean
from ccnb.results import OUTCOMES, STATES
from ccnb.store import Store

CHOICES = ("state", "mode", "outcome", "fingerprint", "before", "limit")
_WORDS = {"state": STATES, "outcome": OUTCOMES}


def check_choice(where: Mapping[str, Any]) -> None:
    """See that runs can be chosen by some filters; a slip in a word would choose none, and say nothing.

    Raises
    ------
    SpecError
    """
    for name, value in where.items():
        if name not in CHOICES:
            raise SpecError(f"runs can't be chosen by {name!r}{_near(name, CHOICES)}")
        if value is None:
            continue
        if name == "mode":
            _check_word(name, value, modes.names() if value in modes.names() else _modes())
        elif name in _WORDS:
            _check_word(name, value, _WORDS[name])
        elif name == "limit" and not (isinstance(value, int) and value > 0):
            raise SpecError(f"limit must be a whole number above zero, not {value!r}")
        elif name == "before" and not isinstance(value, int | float):
            raise SpecError(f"before must be a time in unix seconds, not {value!r}")


def _check_word(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise SpecError(f"unknown {name} {value!r}{_near(str(value), known)}")


def _near(word: str, known: Sequence[str]) -> str:
    return did_you_mean(word, known) or f"; known are {', '.join(known)}"


def _modes() -> list[str]:
    """Return the modes that are there, and those of earlier runs whose package is gone."""
    earlier = Store().query("SELECT DISTINCT mode FROM runs")
    return list(dict.fromkeys([*modes.names(), *(str(mode) for (mode,) in earlier)]))
