"""A login that was given out is known again wherever it turns up."""

from __future__ import annotations

import json
import stat

import pytest

from ccnb import credentials
from tests.credentials.conftest import LOGIN, login

OAUTH = credentials.OAUTH_TOKEN


@pytest.fixture(autouse=True)
def notes(monkeypatch, here):
    """Return the file of the notes."""
    monkeypatch.setenv("CCNB_HOME", str(here / "home"))
    return here / "home" / "copies.json"


def give_out(login_file, *token, **more):
    login_file.write_text(login(*token, **more))
    credentials.remember(credentials.find())
    login_file.write_text(login("the-next-token"))


def test_a_copy_is_known_after_the_login_has_moved_on(monkeypatch, login_file):
    give_out(login_file, left_s=3700)
    monkeypatch.setenv(OAUTH, LOGIN)
    record = credentials.find().record
    assert (record.kind, record.source, record.where) == ("login token", "environment", OAUTH)
    assert (record.expiry, record.plan) == ("in 1 h 1 min", "max")


def test_an_expired_copy_is_passed_over(monkeypatch, here, login_file, notes):
    give_out(login_file)
    noted = json.loads(notes.read_text())
    notes.write_text(json.dumps({key: value | {"expires_at_s": 1_000} for key, value in noted.items()}))
    (here / ".env").write_text(f"{OAUTH}={LOGIN}\n")
    found = credentials.find()
    assert found.value.reveal() == "the-next-token"
    assert f"the login token in {OAUTH} in .env expired" in found.record.warnings[0]
    assert "`ccnb token` replaces it" in found.record.warnings[0]


def test_the_notes_are_private_and_hold_no_token(login_file, notes):
    give_out(login_file)
    assert stat.S_IMODE(notes.stat().st_mode) == 0o600
    assert LOGIN not in notes.read_text()
    assert [file.name for file in notes.parent.iterdir()] == ["copies.json"]


def test_a_second_copy_takes_nothing_from_the_first_and_old_ones_are_forgotten(login_file, notes):
    notes.parent.mkdir()
    notes.write_text('{"old": {"expires_at_s": 1000, "plan": null}, "odd": 3}')
    give_out(login_file)
    give_out(login_file, "a-second-token")
    assert len(json.loads(notes.read_text())) == 2


def test_what_does_not_expire_is_not_noted(monkeypatch, notes):
    monkeypatch.setenv(OAUTH, "a-dummy-token")
    credentials.remember(credentials.find())
    assert not notes.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"x": 3}', "\x00"])
def test_notes_that_cannot_be_read_are_none(monkeypatch, notes, text):
    notes.parent.mkdir()
    notes.write_text(text)
    monkeypatch.setenv(OAUTH, "a-dummy-token")
    assert credentials.find().record.kind == "setup-token"


def test_a_folder_that_takes_none_is_no_error(monkeypatch, login_file):
    monkeypatch.setenv("CCNB_HOME", "/proc/nothing")
    give_out(login_file)
