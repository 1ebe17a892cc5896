"""What is said of the credential before runs begin."""

from __future__ import annotations

import pytest

from ccnb import credentials
from ccnb.errors import CredentialError
from tests.credentials.conftest import login


def test_nothing_is_said_of_a_token_that_lasts(monkeypatch):
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "a-dummy-token")
    assert credentials.preflight(timeout_s=1800) == []
    assert credentials.preflight(timeout_s=1800, runs=1000, concurrency=50) == []


def test_nothing_is_said_of_a_login_that_lasts_as_long_as_the_run(login_file):
    login_file.write_text(login(left_s=3600))
    assert credentials.preflight(timeout_s=1800) == []


def test_one_that_may_expire_before_the_end_is_said(login_file):
    login_file.write_text(login(left_s=1210))
    (warning,) = credentials.preflight(timeout_s=1800)
    assert f"the login token in {login_file} expires in 20 min, and the run may take 30 min" in warning
    assert "run `claude setup-token`" in warning


def test_the_time_of_many_runs_is_counted_by_how_many_go_on_at_once(login_file):
    login_file.write_text(login(left_s=7300))
    assert credentials.preflight(timeout_s=1800, runs=4) == []
    (warning,) = credentials.preflight(timeout_s=1800, runs=5)
    assert "expires in 2 h 1 min, and 5 runs may take 2 h 30 min" in warning


def test_a_login_that_many_share_is_said(login_file):
    login_file.write_text(login())
    (warning,) = credentials.preflight(timeout_s=60, runs=20, concurrency=8)
    assert warning.startswith(f"8 runs at once share the login token in {login_file}")
    assert "run `claude setup-token`" in warning
    (warning,) = credentials.preflight(timeout_s=60, runs=3, concurrency=8)
    assert warning.startswith("3 runs at once")
    assert credentials.preflight(timeout_s=60, runs=20, concurrency=1) == []


@pytest.mark.parametrize("left_s", [-1, 30])
def test_an_expired_one_is_an_error(login_file, left_s):
    login_file.write_text(login(left_s=left_s))
    with pytest.raises(CredentialError, match="run `claude setup-token`"):
        credentials.preflight(timeout_s=1)


def test_none_is_an_error():
    with pytest.raises(CredentialError, match="no token found"):
        credentials.preflight(timeout_s=1)
