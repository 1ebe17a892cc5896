"""The one credential that a run uses: where it is found, what is passed over, what is said."""

from __future__ import annotations

import logging
import os
import pickle

import pytest

from ccnb import credentials
from ccnb.credentials.login import keychain_items
from ccnb.errors import CredentialError
from tests.credentials.conftest import LOGIN, REFRESH, keychain_holds, login, verbose_traceback

OAUTH, KEY = credentials.VARIABLES
TOKEN = "sk-ant-oat01-TOKEN-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - a dummy
API_KEY = "sk-ant-api03-KEY-0123456789abcdefghijklmnopqrstuvwxyz"


def found():
    """Return the value and the source of what is found."""
    credential = credentials.find()
    return credential.value.reveal(), credential.record.source


@pytest.mark.parametrize("variable", credentials.VARIABLES)
def test_it_is_found_where_claude_itself_looks(monkeypatch, variable):
    monkeypatch.setenv(variable, "  a-dummy-token\n")
    credential = credentials.find()
    assert (credential.variable, credential.value.reveal()) == (variable, "a-dummy-token")
    assert "a-dummy-token" not in repr(credential)


def test_the_order_is_environment_then_env_file_then_keychain_then_file(monkeypatch, here, login_file):
    login_file.write_text(login("token-in-the-file"))
    assert found() == ("token-in-the-file", "file")
    monkeypatch.setenv("USER", "somebody-else")  # whose item was not asked for just now
    ((service, account), *_) = keychain_items()
    keychain_holds(monkeypatch, {service: {account: login("token-in-keychain")}})
    assert found() == ("token-in-keychain", "keychain")
    (here / ".env").write_text(f"{KEY}=key-in-env-file\n")
    assert found() == ("key-in-env-file", ".env")
    (here / ".env").write_text(f"{KEY}=key-in-env-file\n{OAUTH}=token-in-env-file\n")
    assert found() == ("token-in-env-file", ".env")
    monkeypatch.setenv(KEY, "key-in-environment")
    assert found() == ("key-in-environment", "environment")
    monkeypatch.setenv(OAUTH, "token-in-environment")
    assert found() == ("token-in-environment", "environment")


def test_what_is_known_of_a_login(login_file):
    login_file.write_text(login())
    record = credentials.find().record
    assert (record.kind, record.variable, record.source) == ("login token", OAUTH, "file")
    assert (record.plan, record.rate_limit_tier) == ("max", "default_claude_max_20x")
    assert record.scopes == ("user:inference", "user:profile")
    assert record.where == str(login_file)
    assert record.expiry == "in 5 h 12 min"


@pytest.mark.parametrize(("variable", "kind"), [(OAUTH, "setup-token"), (KEY, "API key")])
def test_what_is_known_of_a_variable(monkeypatch, variable, kind):
    monkeypatch.setenv(variable, TOKEN)
    record = credentials.find().record
    assert (record.kind, record.where, record.expires_at) == (kind, variable, None)
    assert record.outlives(1e9, runs=1000)


def test_a_copy_of_the_login_is_known_for_what_it_is(monkeypatch, login_file):
    """`ccnb token` puts it into `.env` or a variable; it lasts no longer there."""
    login_file.write_text(login(left_s=-3600))
    monkeypatch.setenv(OAUTH, LOGIN)
    with pytest.raises(CredentialError, match=f"the login token in {OAUTH} expired 1 h 0 min ago"):
        credentials.find()
    login_file.write_text(login(left_s=3700))
    record = credentials.find().record
    assert (record.kind, record.source, record.where) == ("login token", "environment", OAUTH)
    assert record.expiry == "in 1 h 1 min"


def test_an_expired_one_is_passed_over_with_a_word(monkeypatch, login_file):
    ((service, account), *_) = keychain_items()
    keychain_holds(monkeypatch, {service: {account: login("expired-token", left_s=-11_000)}})
    login_file.write_text(login())
    credential = credentials.find()
    assert credential.value.reveal() == LOGIN
    (warning,) = credential.record.warnings
    assert f"the login token in keychain item '{service}' expired 3 h 3 min ago" in warning
    assert "`claude` renews it" in warning


@pytest.mark.parametrize(("left_s", "words"), [(-11_000, "expired 3 h 3 min ago"), (30, "expires in ")])
def test_with_nothing_else_the_expired_one_is_named_in_the_error(login_file, left_s, words):
    login_file.write_text(login(left_s=left_s))
    with pytest.raises(CredentialError) as caught:
        credentials.find()
    assert f"the login token in {login_file} {words}" in str(caught.value)
    assert str(caught.value).endswith("--api script:demo")


def test_nothing_is_ever_renewed_or_written(login_file):
    login_file.write_text(login(left_s=-5))
    before = (login_file.read_bytes(), login_file.stat().st_mtime_ns)
    with pytest.raises(CredentialError):
        credentials.find()
    assert (login_file.read_bytes(), login_file.stat().st_mtime_ns) == before


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_where_there_is_none_the_message_says_how_to_get_one(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(KEY, value)
    with pytest.raises(CredentialError, match=r"^no token found in .*setup-token.*--api script:demo$"):
        credentials.find()


@pytest.mark.parametrize(
    "value", ["qzx", "two words", "wrapped-\nin-two-lines", "tökens-are-plain", "redacted"]
)
def test_what_is_no_token_is_passed_over_without_being_shown(monkeypatch, value):
    monkeypatch.setenv(OAUTH, value)
    with pytest.raises(CredentialError) as caught:
        credentials.find()
    assert f"{OAUTH} holds {len(value)} characters that are no token" in str(caught.value)
    assert value not in str(caught.value)
    monkeypatch.setenv(KEY, API_KEY)
    assert credentials.find().value.reveal() == API_KEY


def test_a_key_beside_a_token_is_said_and_which_one_is_used(monkeypatch, here):
    monkeypatch.setenv(KEY, API_KEY)
    monkeypatch.setenv(OAUTH, TOKEN)
    (warning,) = credentials.find().record.warnings
    assert warning.startswith(f"{KEY} is set too, but only the setup-token in {OAUTH} reaches the agent")
    monkeypatch.delenv(OAUTH)
    (here / ".env").write_text(f"{OAUTH}={TOKEN}\n")
    (warning,) = credentials.find().record.warnings
    assert warning.startswith(
        f"{OAUTH} is set too, but only the API key in {KEY} reaches the agent, which is"
    )


def test_a_variable_that_claude_would_prefer_is_said_too(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "something-else")
    monkeypatch.setenv(OAUTH, TOKEN)
    assert credentials.find().record.warnings[0].startswith("ANTHROPIC_AUTH_TOKEN is set too")


def test_an_env_file_is_read_and_never_loaded(here):
    (here / ".env").write_text(f"export {OAUTH}='{TOKEN}' # mine\r\nOTHER=1\r\n")
    assert found() == (TOKEN, ".env")
    assert OAUTH not in os.environ
    assert "OTHER" not in os.environ


@pytest.mark.parametrize(
    "text",
    [
        f"{OAUTH}={TOKEN}",
        f"{OAUTH}={TOKEN}\r\nA=1\r\n",
        f'{OAUTH}="{TOKEN}"\n',
        f"{OAUTH} = '{TOKEN}'\n",
        f"export {OAUTH}={TOKEN} # until May\n",
        f"\ufeff{OAUTH}={TOKEN}\n",
        f"this is = no 'line\n{OAUTH}={TOKEN}\n",
    ],
)
def test_an_env_file_may_be_written_in_many_ways(here, text):
    (here / ".env").write_bytes(text.encode())
    assert found() == (TOKEN, ".env")


@pytest.mark.parametrize("data", [f"{OAUTH}={TOKEN}\n".encode("utf-16"), b"\xff\xfe\x00\x00"])
def test_an_env_file_that_is_no_text_is_passed_over_with_a_word(here, login_file, data):
    (here / ".env").write_bytes(data)
    with pytest.raises(CredentialError, match=r"\.env is not in UTF-8; save it as that"):
        credentials.find()
    login_file.write_text(login())
    assert found() == (LOGIN, "file")


def test_a_line_of_it_that_cannot_be_read_is_said_without_being_shown(here):
    (here / ".env").write_text(f"A=1\n{OAUTH}='{TOKEN}\nB=2\n")
    with pytest.raises(CredentialError, match=r"\.env, line 2 can't be read; close its quotes") as caught:
        credentials.find()
    assert TOKEN not in str(caught.value)
    (here / ".env").write_text(f"A='1\n{OAUTH}={TOKEN}\nB=2\n")
    assert found() == (TOKEN, ".env")


def test_a_folder_of_that_name_is_no_env_file(here, login_file):
    (here / ".env").mkdir()
    login_file.write_text(login())
    assert found() == (LOGIN, "file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "holds no JSON"),
        ("", "holds no JSON"),
        ("\x00\xff", "holds no JSON"),
        ("[" * 100_000, "holds no JSON"),
        ("[]", "holds no login as Claude Code writes it"),
        ('{"claudeAiOauth": 3}', "holds no login as Claude Code writes it"),
        ('{"claudeAiOauth": {}}', "holds a login without a token"),
        ('{"claudeAiOauth": {"accessToken": ["x"]}}', "holds a login without a token"),
        (f'{{"claudeAiOauth": {{"accessToken": "{TOKEN}"', "holds no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(monkeypatch, login_file, text, words):
    login_file.write_text(text, encoding="latin-1")
    with pytest.raises(CredentialError) as caught:
        credentials.find()
    assert login_file.read_text(encoding="latin-1") == text
    assert f"{login_file} {words}" in str(caught.value)
    assert TOKEN not in str(caught.value)
    monkeypatch.setenv(OAUTH, TOKEN)
    assert credentials.find().record.warnings == ()


def test_a_file_without_a_login_is_as_good_as_none(login_file):
    login_file.write_text('{"mcpOAuth": {}}')
    with pytest.raises(CredentialError, match=r"^no token found in the environment"):
        credentials.find()


def test_a_folder_in_the_file_s_place_is_said(login_file):
    login_file.mkdir()
    with pytest.raises(CredentialError, match=r"\.credentials\.json can't be read"):
        credentials.find()


@pytest.mark.parametrize("at", [None, "soon", True, 1e300, -1e300, float("nan"), []])
def test_an_expiry_that_makes_no_sense_is_not_known(login_file, at):
    login_file.write_text(login(expiresAt=at, scopes="all", subscriptionType=7, rateLimitTier=None))
    record = credentials.find().record
    assert (record.expires_at, record.scopes, record.plan) == (None, (), None)
    assert record.expiry == "not told by the login"


def test_the_configuration_folder_is_the_home_s_unless_named(monkeypatch, here):
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(here))
    (here / ".claude").mkdir()
    (here / ".claude" / ".credentials.json").write_text(login("token-of-the-home"))
    assert found() == ("token-of-the-home", "file")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(here / "other"))
    with pytest.raises(CredentialError):
        credentials.find()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "")
    assert found() == ("token-of-the-home", "file")


def test_without_a_folder_to_be_in_and_without_a_home(monkeypatch, here):
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(CredentialError, match="no token found"):
        credentials.find()
    monkeypatch.setenv(OAUTH, TOKEN)
    assert found() == (TOKEN, "environment")


def test_to_keep_in_env_file_is_what_is_not_from_there(here, login_file):
    (here / ".env").write_text(f"{OAUTH}={TOKEN}\n")
    assert credentials.find_to_keep().value.reveal() == TOKEN
    login_file.write_text(login())
    assert credentials.find_to_keep().value.reveal() == LOGIN
    assert found() == (TOKEN, ".env")


def test_a_value_is_in_no_repr_pickle_log_or_traceback(monkeypatch, here, login_file, caplog):
    caplog.set_level(logging.DEBUG)
    login_file.write_text(login())
    credential = credentials.find()
    for text in (
        repr(credential),
        str(vars(credential)),
        str(vars(credential.record)),
        repr(credential.record),
    ):
        assert LOGIN not in text
    assert LOGIN.encode() not in pickle.dumps(credential)
    assert pickle.loads(pickle.dumps(credential.record)) == credential.record
    login_file.write_text(login(left_s=-100))
    (here / ".env").write_text(f"{OAUTH}='{TOKEN} {TOKEN}'\n")
    monkeypatch.setenv(KEY, f"{API_KEY} {API_KEY}")
    shown = verbose_traceback(credentials.find)
    assert "passed = {" in shown, "it shows no variables"
    for secret in (LOGIN, REFRESH, TOKEN, API_KEY):
        assert secret not in shown
        assert secret not in caplog.text
