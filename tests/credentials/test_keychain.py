"""The system's keychain: real backends of keyring, of several tempers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import keyring
import pytest

from ccnb import credentials
from ccnb.credentials import keychain, login
from ccnb.errors import CredentialError
from tests.credentials import conftest
from tests.doubles.keychains import Broken, Hanging, Holding, Refusing
from tests.newcomer import ROOT
from tests.waiting import wait_for

SERVICE = "Claude Code-credentials"


def test_a_login_is_found_in_the_user_s_item(monkeypatch):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    conftest.keychain_holds(monkeypatch, {SERVICE: {os.environ["USER"]: conftest.login()}})
    found = credentials.find()
    assert found.value.reveal() == conftest.LOGIN
    assert (found.record.source, found.record.where) == ("keychain", f"keychain item '{SERVICE}'")
    assert (found.record.kind, found.record.plan) == ("login token", "max")


def test_and_in_that_of_a_user_whom_claude_could_not_name(monkeypatch):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    conftest.keychain_holds(monkeypatch, {SERVICE: {"claude-code-user": conftest.login()}})
    assert credentials.find().value.reveal() == conftest.LOGIN


def test_an_item_that_only_knows_mcp_servers_is_passed_by(monkeypatch):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    items = {os.environ["USER"]: '{"mcpOAuth": {}}', "claude-code-user": conftest.login()}
    conftest.keychain_holds(monkeypatch, {SERVICE: items})
    found = credentials.find()
    assert found.value.reveal() == conftest.LOGIN
    assert found.record.warnings == ()


@pytest.mark.parametrize("written", ["/somewhere/else", "/somewhere/else/", "relative", "/Café"])
def test_a_configuration_folder_has_an_item_of_its_own(monkeypatch, here, written):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", written)
    digest = hashlib.sha256(written.encode()).hexdigest()[:8]
    conftest.keychain_holds(monkeypatch, {f"{SERVICE}-{digest}": {os.environ["USER"]: conftest.login()}})
    assert credentials.find().value.reveal() == conftest.LOGIN


def test_the_usual_item_is_another_account_s_then(monkeypatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/somewhere/else")
    conftest.keychain_holds(monkeypatch, {SERVICE: {os.environ["USER"]: conftest.login()}})
    with pytest.raises(CredentialError, match="no token found"):
        credentials.find()


def test_a_folder_given_as_a_relative_path_is_also_looked_for_by_its_whole_path(monkeypatch, here):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "relative")
    digest = hashlib.sha256(str(here / "relative").encode()).hexdigest()[:8]
    assert (f"{SERVICE}-{digest}", os.environ["USER"]) in login.keychain_items()


def test_one_that_hangs_is_asked_once_and_waited_for_only_so_long():
    keyring.set_keyring(Hanging())
    begun = time.monotonic()
    (said,) = keychain.look(limit_s=0.3)
    assert said.startswith("the keychain did not answer within 0.3 s")
    wait_for(lambda: keyring.get_keyring().asked)
    assert keychain.look(limit_s=0.3) == [said]
    assert len(keyring.get_keyring().asked) == 1, "it was asked a second time"
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(("backend", "word"), [(Refusing, "KeyringLocked"), (Broken, "ZeroDivisionError")])
def test_one_that_refuses_is_said_without_its_own_words(login_file, backend, word):
    keyring.set_keyring(backend())
    with pytest.raises(CredentialError) as caught:
        credentials.find()
    message = str(caught.value)
    assert message.count("the keychain refused its item") == 1
    assert word in message
    assert "words-of-the-backend" not in message
    login_file.write_text(conftest.login())
    found = credentials.find()
    assert found.value.reveal() == conftest.LOGIN
    assert word in found.record.warnings[0]


def test_the_start_of_a_run_asks_once(monkeypatch):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    conftest.keychain_holds(monkeypatch, {SERVICE: {os.environ["USER"]: conftest.login()}})
    for _ in range(3):
        credentials.find()
    assert len(keyring.get_keyring().asked) == len(login.keychain_items())


def test_runs_that_start_at_once_ask_once(monkeypatch):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    conftest.keychain_holds(monkeypatch, {SERVICE: {os.environ["USER"]: conftest.login()}})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: credentials.find(), range(8)))
    assert {credential.value.reveal() for credential in found} == {conftest.LOGIN}
    assert len(keyring.get_keyring().asked) == len(login.keychain_items())


def test_nothing_is_asked_when_the_environment_has_a_token(monkeypatch):
    keyring.set_keyring(Holding())
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "a-dummy-token")
    credentials.find()
    assert keyring.get_keyring().asked == []


def fresh(code, backend, **more):
    """Run some code in an interpreter of its own, in which keyring finds a backend by its name."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON_KEYRING_BACKEND": backend, **more}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_machine_without_any_has_none():
    done = fresh(
        "from ccnb.credentials import keychain; print(keychain.look())", "keyring.backends.fail.Keyring"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_one_that_hangs_is_said_and_holds_up_neither_the_file_nor_the_exit(login_file):
    login_file.write_text(conftest.login())
    begun = time.monotonic()
    done = fresh("import ccnb; print(ccnb.token())", "tests.doubles.keychains.Hanging")
    assert keychain.LIMIT_S <= time.monotonic() - begun < keychain.LIMIT_S + 60
    assert done.returncode == 0, done.stderr
    assert "login token" in done.stdout
    assert "the keychain did not answer within 15 s" in done.stdout
    assert conftest.LOGIN not in done.stdout + done.stderr


def test_a_backend_that_is_not_there_is_said():
    done = fresh("import ccnb; ccnb.token()", "no.such.backend")
    assert done.returncode == 1
    assert "the keychain refused its item" in done.stderr
    assert "ModuleNotFoundError" in done.stderr
