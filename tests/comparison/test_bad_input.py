"""What can't be compared is one clear sentence, before anything is run."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.errors import CcnbError
from ccnb.store import Store
from tests.comparison.client import compare

LOCAL = {"modes": ["local"], "api": "script:demo"}

CASES = {
    "an axis that is no field": (
        {"axes": {"max_turn": [1, 2]}},
        "axis 'max_turn' is no field of RunSpec; did you mean 'max_turns'?",
    ),
    "an axis with an option of its own": (
        {"axes": {"mode": ["local"]}},
        "axis 'mode' has an option of its own",
    ),
    "an axis that is an option too": (
        {"axes": {"check": ["true"]}, "check": "true"},
        "leave one of the two out",
    ),
    "no mode": ({"modes": []}, "the matrix is empty: mode has no level"),
    "no variant": ({"variants": {}}, "the matrix is empty: variant has no level"),
    "no level of an axis": ({"axes": {"max_turns": []}}, "the matrix is empty: max_turns has no level"),
    "a level twice": ({"models": ["haiku", "haiku"]}, "models has 'haiku' twice; use repeats"),
    "too many runs": ({"repeats": 1_001}, "this matrix has 1,001 runs; give yes=True"),
    "a check that can't run": (
        {"check": "if true; then"},
        "check can't be run: the shell refuses 'if true; then'",
    ),
    "an unknown option": (
        {"variants": {"x": {"promt": "y"}}},
        "unknown option 'promt'; did you mean 'prompt'?",
    ),
    "no repeats": ({"repeats": 0}, "repeats must be a whole number, 1 or more, not 0"),
    "a seed that is none": ({"seed": "x"}, "seed must be a whole number, 0 or more, not 'x'"),
    "a seed too large": ({"seed": 2**63}, f"seed must be below 2**63, not {2**63}"),
    "none at once": ({"concurrency": 0}, "concurrency must be a whole number, 1 or more, not 0"),
    "none of a mode at once": (
        {"concurrency": {"local": 0}},
        "concurrency of local must be a whole number, 1 or more, not 0",
    ),
    "fewer repeats at most than at least": (
        {"repeats": 6, "max_repeats": 5},
        "max_repeats must be a whole number, 6 or more, not 5",
    ),
    "a precision that is none": (
        {"max_repeats": 9, "precision": 10},
        "precision must be a number between 0 and 1, 0.1 for 10 %, not 10",
    ),
    "a precision alone": ({"precision": 0.1}, "give max_repeats with it"),
    "a name that is none": ({"name": "a b"}, "name must be up to 48 letters, digits, - and _, not 'a b'"),
    "one text as models": ({"models": "haiku"}, "models must be a list, not 'haiku'"),
    "a recording": ({"api": "record:x.jsonl"}, "many runs can't record to one file"),
    "an unknown mode": ({"modes": ["dokcer"]}, "did you mean 'docker'?"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_nothing_is_run(home, case):
    options, said = CASES[case]
    with pytest.raises(CcnbError) as caught:
        ccnb.compare("Do it.", **LOCAL | options)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert Store(home).runs() == []


@pytest.mark.needs("bubblewrap")
def test_who_says_yes_may_do_more_than_a_thousand(home):
    comparison = ccnb.compare("Do it.", **LOCAL, repeats=1_001, warmups=0, yes=True, total_usd=0)
    # Nothing may be spent, so that none of them is begun.
    assert comparison.stopped == "$0 are spent"
    assert len(comparison.frame) == 1_001
    assert Store(home).runs() == []


def test_a_prompt_twice_is_told(home):
    with pytest.raises(CcnbError, match="use repeats"):
        ccnb.compare(["a", "a"], **LOCAL)


@pytest.mark.needs("bubblewrap")
def test_another_matrix_under_the_same_name_says_what_differs(obedient):
    compare("taken", repeats=1)
    with pytest.raises(
        ccnb.CcnbError, match="has another matrix \\(1 repeats, not 2\\); give this one another name"
    ):
        compare("taken", repeats=2)
    with pytest.raises(ccnb.CcnbError, match="check: None, not 'true'"):
        compare("taken", repeats=1, check="true")
    with pytest.raises(ccnb.CcnbError, match="leave seed out"):
        compare("taken", repeats=1, seed=2**31 + 1)


def test_a_name_that_is_not_there_is_told(home):
    with pytest.raises(CcnbError, match="no comparison has the name 'x'; there is none yet"):
        ccnb.Comparison("x")
