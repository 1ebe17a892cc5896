"""From the panel's form to a call."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.errors import CcnbError, SpecError
from ccnb.widgets.request import (
    check,
    comparing_python_of,
    modes_of,
    options_of,
    python_of,
    repeats_of,
)


def test_what_is_left_empty_is_no_option():
    assert options_of({"mode": "", "model": " ", "copy": False, "timeout_s": ""}) == {"mode": "auto"}


def test_what_is_filled_in_has_its_type():
    form = {"mode": "docker", "network": "a.org, b.org", "timeout_s": "60", "max_turns": "3", "copy": True}
    assert options_of(form) == {
        "mode": "docker",
        "network": ["a.org", "b.org"],
        "timeout_s": 60.0,
        "max_turns": 3,
        "copy": True,
    }


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"timeout_s": "soon"}, "timeout_s must be a number, not 'soon'"),
        ({"max_turns": "1.5"}, "max_turns must be a whole number, not '1.5'"),
        ({"repeats": "0"}, "repeats must be from 1 to 100, not 0"),
        ({"repeats": "many"}, "repeats must be a whole number, not 'many'"),
        ({"mode": "dokcer"}, "unknown mode 'dokcer'"),
        ({"workspace": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"budget_usd": "nan"}, "budget_usd"),
        ({"budget_tokens": "a million"}, "budget_tokens must be a whole number, not 'a million'"),
    ],
)
def test_a_mistake_is_one_sentence(home, form, words):
    with pytest.raises(CcnbError) as caught:
        check("Go.", options_of({"api": "script:demo"} | form) if repeats_of(form) else {})
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_an_empty_prompt_is_refused():
    with pytest.raises(SpecError, match="prompt"):
        check("", {"mode": "local", "api": "script:demo"})


@given(st.text(max_size=40), st.integers(1, 3))
def test_the_call_is_python_that_says_the_same(prompt, repeats):
    options = {"mode": "local", "network": ["a.org"], "timeout_s": 60.0}
    tree = ast.parse(python_of(prompt, options, repeats))
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "run"
    ]
    assert ast.literal_eval(call.args[0]) == prompt
    assert {k.arg: ast.literal_eval(k.value) for k in call.keywords} == options


@given(st.text(max_size=40), st.integers(1, 3))
def test_the_comparing_call_is_python_that_says_the_same(prompt, repeats):
    options = {"mode": "auto", "network": ["a.org"], "timeout_s": 60.0}
    tree = ast.parse(comparing_python_of(prompt, options, ["docker", "local"], repeats))
    (call,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert ast.unparse(call.func) == "ccnb.compare"
    assert ast.literal_eval(call.args[0]) == prompt
    said = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    assert said == {
        "modes": ["docker", "local"],
        "repeats": repeats,
        "network": ["a.org"],
        "timeout_s": 60.0,
    }


def test_a_comparison_needs_modes():
    assert modes_of({"modes": ["docker"]}) == ["docker"]
    with pytest.raises(SpecError, match="no mode is ticked"):
        modes_of({"modes": []})
