"""Secrets: values that never show, and text from which they are taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Self

from ccnb.errors import SpecError

MASK = "[redacted]"
SHORTEST = 6
"""A shorter secret would blank ordinary words, so it is refused."""

_TOKEN = re.compile(r"sk-ant-(?:[a-z]{2,8}\d{2}-)?[A-Za-z0-9_-]{16,}")
"""The vendor's tokens have a known shape: one is taken out even when nobody told us its value."""

_LETTERS = {"\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f"}


class Secret:
    """A value that is used but never shown: `repr`, `str` and `format` give a mask, and JSON refuses it.

    >>> Secret("hunter2-hunter2")
    Secret('[redacted]')
    """

    __slots__ = ("_value",)

    _value: str | None

    def __init__(self, value: str) -> None:
        if len(value) < SHORTEST:
            raise SpecError(
                f"a secret of {len(value)} characters can't be kept out of outputs; use {SHORTEST} or more"
            )
        if value in MASK or MASK in value:
            raise SpecError(f"a secret and the mask {MASK!r} can't hold each other; choose another value")
        self._value = value

    @classmethod
    def withheld(cls) -> Self:
        """Return what is left of a secret where it was written down: that there was one."""
        secret = cls.__new__(cls)
        secret._value = None  # noqa: SLF001 - one of its own kind
        return secret

    @property
    def is_withheld(self) -> bool:
        """Return whether the value stayed behind when the secret was written down or pickled."""
        return self._value is None

    def reveal(self) -> str:
        """Return the value itself.

        Raises
        ------
        SpecError
            It was withheld.
        """
        if self._value is None:
            raise SpecError("a secret's value is never written down, so it is gone here; give it again")
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle is a file that travels; the value stays behind.
        return type(self).withheld, ()


class _Spellings:
    """The ways in which JSON, at any depth, and URLs write a value, as one pattern."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._first_signs = ("\\", "%", *("+" if " " in value else ""))

    def mask(self, text: str) -> str:
        """Return the text with the value replaced wherever it is spelled in such a way."""
        # From the cheapest question to the dearest: most texts have no such sign, and to compile the
        # patterns of a long value takes longer than to go through a short run's events.
        if any(sign in text for sign in self._first_signs) and self._signs.search(text):
            return self._pattern.sub(MASK, text)
        return text

    @cached_property
    def _signs(self) -> re.Pattern[str]:
        """One of the value's own characters, written in another way.

        The escapes of a terminal's colours are none of these: a text that has no others isn't
        worth the search.
        """
        codes = {code for c in self._value for code in (*_escapes(c), *_octets(c))}
        signs = "|".join(re.escape(code) for code in sorted(codes))
        plus = r"|\+" if " " in self._value else ""
        return re.compile(rf"[\\%](?i:{signs}){plus}")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """The whole value in any such spelling.

        JSON in JSON doubles each backslash, so their number is free. Possessive, and begun at the first of a
        row only: no text makes the search slow.
        """
        rows = re.findall(r"(?s)(\\*)([^\\]|\Z)", self._value)
        units = (_unit(len(row), c) for row, c in rows if row or c)
        return re.compile(r"(?<!\\)" + "".join(units))


def _escapes(character: str) -> list[str]:
    """Return what stands after the first backslash where JSON escapes a character."""
    units = character.encode("utf-16-be", "surrogatepass").hex("-", 2).split("-")
    letter = _LETTERS.get(character) or (character if character in '"\\/' else "")
    return [f"u{units[0]}", *([letter] if letter else [])]


def _octets(character: str) -> list[str]:
    """Return a character's bytes as URLs write them, without the percent signs."""
    return character.encode("utf-8", "surrogatepass").hex("-").split("-")


def _unit(backslashes: int, character: str) -> str:
    """Return the pattern of a row of backslashes, which may be none, and the character after it."""
    row = rf"\\{{{backslashes},}}+"
    if backslashes:
        row = rf"(?:(?i:(?:\\++u005c|%5c){{{backslashes}}})\\*+|{row})"
    if not character:
        return row
    units = character.encode("utf-16-be", "surrogatepass").hex("-", 2).split("-")
    escape = r"\\++".join(f"u{unit}" for unit in units)
    percent = "".join(f"%{octet}" for octet in _octets(character))
    ways = [re.escape(character), f"(?i:{escape}|{percent})"]
    ways += [_LETTERS[character]] if character in _LETTERS else []
    ways += [r"\+"] if character == " " else []
    return f"{row}(?:{'|'.join(ways)})"


class Redactor:
    """Take a run's secrets, and anything shaped like a vendor token, out of text and values."""

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        given = (s if isinstance(s, str) else "" if s.is_withheld else s.reveal() for s in secrets)
        values = {value for value in given if value not in MASK}
        # Longest first: a value that holds another must go as a whole.
        self._known = [(v, _Spellings(v)) for v in sorted(values, key=lambda v: (-len(v), v))]

    def text(self, text: str) -> str:
        """Return the text with every secret, however it is spelled, replaced by a mask."""
        for value, spellings in self._known:
            # `in` and `replace` run at memory speed, a regular expression does not.
            if value in text:
                text = text.replace(value, MASK)
            text = spellings.mask(text)
        return _TOKEN.sub(MASK, text) if "sk-ant-" in text else text

    def value(self, value: Any) -> Any:
        """Return a JSON value with every string and number in it, keys too, redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if isinstance(value, dict):
            return {self.text(k): self.value(v) for k, v in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            spelled = json.dumps(value)
            return value if self.text(spelled) == spelled else MASK
        return value
