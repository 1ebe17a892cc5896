"""What is known of a token, and how it is said."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.credentials.token import TokenRecord, masked, span

SHAPED = st.from_regex(r"sk-ant-(oat01|api03|ort01)-[A-Za-z0-9_-]{16,100}", fullmatch=True)


def record(left_s=None, **more):
    at = None if left_s is None else datetime.now(UTC) + timedelta(seconds=left_s)
    known = {"kind": "login token", "variable": "V", "source": "file", "where": "F", "masked": "s…"}
    return TokenRecord(**known | {"expires_at": at} | more)


@given(SHAPED)
def test_a_mask_shows_its_kind_and_four_characters_at_most(token):
    shown = masked(token).removesuffix("…")
    assert token.startswith(shown)
    assert shown.startswith(token[:13])
    assert len(shown) <= 17


@given(st.text(min_size=8, max_size=200))
def test_a_mask_never_shows_more_than_an_eighth_of_what_has_no_known_shape(value):
    if not value.startswith("sk-ant-"):
        assert len(masked(value)) - 1 <= len(value) / 8


@pytest.mark.parametrize(
    ("left_s", "words", "expired"),
    [
        (18_750, "in 5 h 12 min", False),
        (125, "in 2 min", False),
        (59, "in 58 s", True),
        (-11_000, "3 h 3 min ago", True),
        (86_400 * 40 + 5, "in 40 days", False),
    ],
)
def test_expiry_in_words(left_s, words, expired):
    assert (record(left_s).expiry, record(left_s).is_expired) == (words, expired)


def test_where_it_is_not_known_that_is_said_and_nothing_is_expired():
    unknown = record(kind="setup-token")
    assert (unknown.left_s, unknown.is_expired) == (math.inf, False)
    assert unknown.expiry.startswith("not told by the token; about a year")


def test_outliving_some_runs_is_outliving_the_last_of_them():
    token = record(3600)
    assert token.outlives(1800)
    assert not token.outlives(3601)
    assert token.outlives(600, runs=5)
    assert not token.outlives(600, runs=6)
    assert token.outlives(600, runs=20, concurrency=4)
    assert not token.outlives(600, runs=21, concurrency=4)


@given(st.floats(1, 1e6), st.integers(1, 100), st.integers(1, 100))
def test_more_at_once_never_takes_longer(timeout_s, runs, concurrency):
    token = record(40_000)
    if token.outlives(timeout_s, runs, concurrency):
        assert token.outlives(timeout_s, runs, concurrency + 1)


@given(st.floats(0, 1e9))
def test_a_span_is_two_units_at_most(seconds):
    assert 2 <= len(span(seconds).split()) <= 4


def test_it_is_a_json_value():
    data = json.loads(json.dumps(record(3700, scopes=("a", "b")).to_dict()))
    assert data["expiry"] == "in 1 h 1 min"
    assert data["scopes"] == ["a", "b"]
    assert datetime.fromisoformat(data["expires_at"]).tzinfo is not None
    assert record().to_dict()["expires_at"] is None
