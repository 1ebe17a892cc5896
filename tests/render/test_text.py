"""Small values as text, and text made harmless."""

from __future__ import annotations

import doctest
import unicodedata
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.render import harmless, one_line, size

ANY_TEXT = st.text(alphabet=st.characters())


@pytest.mark.parametrize("name", ["text", "events"])
def test_examples_in_docstrings_hold(name):
    assert doctest.testmod(import_module(f"ccnb.render.{name}")).failed == 0


@given(ANY_TEXT)
def test_nothing_harmful_is_left(text):
    made = harmless(text)
    made.encode()  # no lone surrogate
    assert all(c in "\n\t" or unicodedata.category(c) != "Cc" for c in made)
    assert not set(made) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
    assert harmless(made) == made


@given(ANY_TEXT, st.integers(1, 50))
def test_one_line_is_one_line_within_its_width(text, width):
    line = one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


def test_colours_go_and_other_escapes_are_seen():
    assert harmless("\x1b[1;31mred\x1b[0m") == "red"
    assert harmless("\x1b[2J\x1b]52;c;aGk=\x07\x9b2J") == "␛[2J␛]52;c;aGk=␇\ufffd2J"
    assert harmless("a\r\nb\rc\x7f\x00") == "a\nb␍c␡␀"


def test_text_that_reads_backwards_is_seen():
    assert harmless("ab\u202ecd") == "ab\ufffdcd"


@given(st.integers(0, 10**15))
def test_sizes_are_short(count):
    assert len(size(count)) <= 8
