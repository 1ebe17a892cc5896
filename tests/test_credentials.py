"""The one credential that the environment holds."""

from __future__ import annotations

import pytest

from ccnb import credentials
from ccnb.errors import CredentialError, SpecError

OAUTH, KEY = credentials.VARIABLES


@pytest.fixture(autouse=True)
def _no_credential(monkeypatch):
    for variable in credentials.VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", credentials.VARIABLES)
def test_it_is_found_where_claude_itself_looks(monkeypatch, variable):
    monkeypatch.setenv(variable, "  a-dummy-token\n")
    found = credentials.find()
    assert (found.variable, found.value.reveal()) == (variable, "a-dummy-token")
    assert "a-dummy-token" not in repr(found)


def test_of_two_the_one_that_lasts_is_chosen(monkeypatch):
    monkeypatch.setenv(KEY, "a-dummy-api-key")
    monkeypatch.setenv(OAUTH, "a-dummy-oauth-token")
    assert credentials.find().variable == "CLAUDE_CODE_OAUTH_TOKEN"


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_where_there_is_none_the_message_says_how_to_get_one(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(KEY, value)
    with pytest.raises(CredentialError, match=r"setup-token.*--api script:demo$"):
        credentials.find()


def test_what_is_too_short_to_be_hidden_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv(KEY, "qzx")
    with pytest.raises(SpecError) as caught:
        credentials.find()
    assert "qzx" not in str(caught.value)
