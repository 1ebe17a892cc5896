"""`ccnb token`: what is found, what is handed out, what becomes of `.env`."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
import sys

import pytest

from tests.credentials.conftest import LOGIN, REFRESH, login
from tests.newcomer import ROOT

OAUTH, KEY = "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"
TOKEN = "sk-ant-oat01-TOKEN-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - a dummy
API_KEY = "sk-ant-api03-KEY-0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def here(home):
    """Return the current folder of the command."""
    return home


@pytest.fixture
def login_file(here):
    (here / "no-login").mkdir()
    return here / "no-login" / ".credentials.json"


def words(done):
    return " ".join(done.out.split())


def test_the_summary(cli, login_file):
    login_file.write_text(login())
    done = cli("token")
    assert (done.code, done.err) == (0, "")
    for said in (
        "sk-ant-oat01-LOGI… login token",
        f"found in {login_file}",
        "expires in 5 h 12 min",
        "plan max",
        "scopes user:inference user:profile",
        "rate limit default_claude_max_20x",
    ):
        assert said in words(done)


def test_it_is_kept_in_env_file_and_every_other_line_stays(cli, here, login_file):
    login_file.write_text(login())
    path = here / ".env"
    path.write_bytes(f"# mine\r\nA='1'\r\nexport {OAUTH}=old-token # stale\r\n\r\nB=2".encode())
    path.chmod(0o644)
    done = cli("token")
    assert done.code == 0
    assert f".env now has {OAUTH}, in place of o…" in done.out
    expected = f"# mine\r\nA='1'\r\nexport {OAUTH}={LOGIN} # stale\r\n\r\nB=2"
    assert path.read_bytes() == expected.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ".env has it already" in cli("token").out
    assert path.read_bytes() == expected.encode()


def test_a_renewed_login_takes_the_place_of_its_old_copy(cli, here, login_file):
    login_file.write_text(login())
    cli("token")
    login_file.write_text(login("sk-ant-oat01-RENEWED-0123456789"))
    assert "login token" in cli("token").out
    assert (here / ".env").read_text() == f"{OAUTH}=sk-ant-oat01-RENEWED-0123456789\n"


def test_at_a_terminal_another_token_is_overwritten_only_if_one_says_so(terminal, here, login_file):
    login_file.write_text(login())
    (here / ".env").write_text(f"{OAUTH}={TOKEN}\n")
    command = terminal("token")
    command.wait_for(".env holds another token (sk-ant-oat01-TOKE…). Replace it?")
    command.press("n\n")
    assert command.end() == 0
    assert f".env stays as it is, with another {OAUTH}, which runs in this folder use" in command.seen
    assert (here / ".env").read_text() == f"{OAUTH}={TOKEN}\n"
    command = terminal("token")
    command.wait_for("Replace it?")
    command.press("y\n")
    assert command.end() == 0
    assert (here / ".env").read_text() == f"{OAUTH}={LOGIN}\n"
    login_file.write_text(login("sk-ant-oat01-RENEWED-0123456789"))
    assert terminal("token").end() == 0, "it asks about a copy that it made itself"
    assert "RENEWED" in (here / ".env").read_text()


def test_a_token_that_is_only_there_stays_there(cli, here):
    (here / ".env").write_text(f"{OAUTH}={TOKEN}")
    done = cli("token")
    assert f"found in {OAUTH} in .env" in words(done)
    assert ".env has it already" in done.out
    assert (here / ".env").read_text() == f"{OAUTH}={TOKEN}"


@pytest.mark.needs("git")
def test_an_env_file_that_git_would_take_is_said(cli, here):
    subprocess.run(["git", "init", "-q"], cwd=here, check=True)
    done = cli("token", **{OAUTH: TOKEN})
    assert (
        "warning: git does not ignore .env, which holds a secret; add a line .env to .gitignore" in done.err
    )
    (here / ".gitignore").write_text(".env\n")
    assert cli("token", **{OAUTH: TOKEN}).err == ""


def test_the_value_is_printed_only_where_it_is_asked_for(cli):
    assert cli("token", "--token-only", **{OAUTH: TOKEN}).out == f"{TOKEN}\n"
    line = cli("token", "--export", **{KEY: API_KEY}).out
    assert line == f"export {KEY}={API_KEY}\n"
    odd = "it's-$HOME-`id`"
    line = cli("token", "--export", **{OAUTH: odd}).out
    shell = subprocess.run(
        ["sh", "-c", f'{line}printf %s "${OAUTH}"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == odd
    assert shlex.split(line) == ["export", f"{OAUTH}={odd}"]


def test_only_the_summary_touches_env_file(cli, here):
    for option in ("--token-only", "--export", "--json"):
        assert cli("token", option, **{OAUTH: TOKEN}).code == 0
    assert not (here / ".env").exists()


def test_json(cli, login_file):
    login_file.write_text(login())
    data = json.loads(cli("token", "--json").out)
    assert data["kind"] == "login token"
    assert data["source"] == "file"
    assert data["plan"] == "max"
    assert data["scopes"] == ["user:inference", "user:profile"]
    assert data["expiry"] == "in 5 h 12 min"
    assert data["expires_at"].endswith("+00:00")
    assert data["masked"] == "sk-ant-oat01-LOGI…"


def test_a_key_beside_a_token_is_said(cli):
    both = {OAUTH: TOKEN, KEY: API_KEY}
    said = f"{KEY} is set too, but only the setup-token in {OAUTH} reaches the agent"
    assert said in words(cli("token", **both))
    done = cli("token", "--token-only", **both)
    assert (done.out, said in done.err) == (f"{TOKEN}\n", True)


def test_two_forms_at_once_are_refused(cli):
    done = cli("token", "--json", "--export", **{OAUTH: TOKEN})
    assert done.code == 2
    assert "choose one" in done.err


@pytest.mark.parametrize("option", [[], ["--token-only"], ["--export"], ["--json"]])
def test_none_is_one_sentence_and_exit_code_4(cli, here, login_file, option):
    done = cli("token", *option)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: no token found in the environment, .env, the keychain or ")
    login_file.write_text(login(left_s=-3700))
    done = cli("token", *option)
    assert done.code == 4
    assert f"the login token in {login_file} expired 1 h 1 min ago" in done.err
    assert not (here / ".env").exists()


def test_bad_input_is_one_sentence(cli, here, login_file):
    login_file.write_text("{")
    done = cli("token")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert f"{login_file} holds no JSON" in done.err
    (here / ".env").mkdir()
    done = cli("token", **{OAUTH: TOKEN})
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert done.err.startswith(f"error: {here / '.env'} is no file")


def test_an_env_file_that_is_read_only_stays_as_it_is(cli, here):
    path = here / ".env"
    path.write_text("A=1\n")
    path.chmod(0o400)
    done = cli("token", **{OAUTH: TOKEN})
    assert done.code == 3
    assert done.err == (
        f"error: {path} can't be written (Permission denied: it is read-only); change its permissions, "
        f"or export {OAUTH} instead\n"
    )
    assert "setup-token" in done.out
    assert path.read_text() == "A=1\n"


def test_a_keychain_is_asked(cli):
    done = cli(
        "token",
        "--json",
        PYTHONPATH=str(ROOT),
        PYTHON_KEYRING_BACKEND="tests.doubles.keychains.Holding",
        CLAUDE_CONFIG_DIR="",
        HOME="/nonexistent",
        USER="somebody",
        KEYCHAIN=json.dumps({"Claude Code-credentials": {"somebody": login()}}),
    )
    assert json.loads(done.out)["where"] == "keychain item 'Claude Code-credentials'"


def test_a_value_is_in_no_other_output(cli, here, login_file):
    login_file.write_text(login())
    (here / ".env").write_text(f"{OAUTH}={TOKEN}\n{KEY}='{API_KEY}\n")
    outputs = [
        cli(*command, **more)
        for command in (["token"], ["token", "--json"], ["doctor"], ["doctor", "--json"], ["token", "--nope"])
        for more in ({}, {KEY: API_KEY}, {OAUTH: f"{TOKEN} {TOKEN}"}, {"CCNB_HOME": "/proc/x"})
    ]
    for done in outputs:
        for secret in (LOGIN, REFRESH, TOKEN, API_KEY):
            assert secret not in done.out + done.err
        assert "Traceback" not in done.err


def test_doctor_says_where_it_is(cli, login_file):
    login_file.write_text(login())
    assert f"login token in {login_file}" in words(cli("doctor", COLUMNS="300"))


def test_env_file_is_read_and_not_loaded(here):
    (here / ".env").write_text(f"{OAUTH}={TOKEN}\nMINE=1\n")
    probe = (
        "import os, ccnb; print(ccnb.token().source, os.environ.get('MINE'), "
        "os.environ.get('CLAUDE_CODE_OAUTH_TOKEN'))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout == ".env None None\n", done.stderr
