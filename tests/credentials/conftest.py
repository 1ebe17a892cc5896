"""A person's machine without any credential, and what puts one there."""

from __future__ import annotations

import json
import sys
import time
import uuid

import keyring
import pytest
from IPython.core.ultratb import VerboseTB
from keyring.backends import null

from ccnb.errors import CcnbError
from tests.conftest import hide_credentials
from tests.doubles.keychains import Holding

LOGIN = "sk-ant-oat01-LOGIN-0123456789abcdefghijklmnopqrstuvwxyz"
REFRESH = "sk-ant-ort01-REFRESH-0123456789abcdefghijklmnopqrstuvwxyz"


def login(token=LOGIN, *, left_s=18_750.0, **more) -> str:
    """Return a login as Claude Code writes it."""
    known = {
        "accessToken": token,
        "refreshToken": REFRESH,
        "expiresAt": int((time.time() + left_s) * 1000),
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
        "rateLimitTier": "default_claude_max_20x",
    }
    return json.dumps({"claudeAiOauth": known | more})


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Return the current folder: nothing is in it, and nothing is known of any token."""
    hide_credentials(monkeypatch, tmp_path)
    keyring.set_keyring(null.Keyring())
    # A name of its own for each test: answers of the keychain are kept for some seconds.
    monkeypatch.setenv("USER", f"user-{uuid.uuid4()}")
    yield tmp_path
    keyring.set_keyring(null.Keyring())


@pytest.fixture
def login_file(here):
    """Return the path of Claude Code's own file, in a folder that is there."""
    (here / "no-login").mkdir()
    return here / "no-login" / ".credentials.json"


def keychain_holds(monkeypatch, items) -> None:
    """Put texts into the keychain: services, in them accounts."""
    keyring.set_keyring(Holding())
    monkeypatch.setenv("KEYCHAIN", json.dumps(items))


def verbose_traceback(function):
    """Return a failure as IPython's `%xmode Verbose` shows it: with the variables of every frame."""
    try:
        function()
    except CcnbError:
        return VerboseTB(theme_name="nocolor").text(*sys.exc_info())
    raise AssertionError("it did not fail")
