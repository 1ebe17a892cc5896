"""Secrets: values that never show, and text from which they are taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ccnb.errors import SpecError

MASK = "[redacted]"
SHORTEST = 6
"""A shorter secret would blank ordinary words, so it is refused."""

_TOKEN = re.compile(r"sk-ant-(?:[a-z]{2,8}\d{2}-)?[A-Za-z0-9_-]{16,}")
"""The vendor's tokens have a known shape: one is taken out even when nobody told us its value."""


class Secret:
    """A value that is used but never shown: `repr`, `str`, `format` and JSON give a mask.

    >>> Secret("hunter2-hunter2")
    Secret('[redacted]')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if len(value) < SHORTEST:
            raise SpecError(
                f"a secret of {len(value)} characters can't be kept out of outputs; use {SHORTEST} or more"
            )
        if value in MASK:
            raise SpecError(f"a secret can't be a part of the mask {MASK!r} itself; choose another value")
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __getstate__(self) -> dict[str, str]:
        # A pickle is a file that travels; the value stays behind.
        return {"masked": MASK}

    def __setstate__(self, state: Mapping[str, str]) -> None:
        self._value = state["masked"]


def _spellings(value: str) -> set[str]:
    """Return the ways in which JSON, shells and URLs write a value."""
    escaped = json.dumps(value)[1:-1]
    spellings = {value, escaped, json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")}
    # JSON inside JSON: a tool result that is itself a JSON text.
    spellings.add(json.dumps(escaped)[1:-1])
    return spellings


class Redactor:
    """Take a run's secrets, and anything shaped like a vendor token, out of text and values."""

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        values = {s.reveal() if isinstance(s, Secret) else s for s in secrets}
        # Longest first: a spelling that holds another must go as a whole.
        self._known = sorted({w for v in values if v for w in _spellings(v)}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text with every secret replaced by a mask; valid JSON stays valid JSON."""
        for spelling in self._known:
            # `in` and `replace` run at memory speed, an alternation in a regular expression does not.
            if spelling in text:
                text = text.replace(spelling, MASK)
        return _TOKEN.sub(MASK, text) if "sk-ant-" in text else text

    def value(self, value: Any) -> Any:
        """Return a JSON value with every string in it, keys too, redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if isinstance(value, dict):
            return {self.text(k): self.value(v) for k, v in value.items()}
        return value
