"""`ccnb.token()`: what a person sees of it, in a notebook and in a terminal, and what nobody sees."""

from __future__ import annotations

import io
import pickle

import pytest
from rich.console import Console

import ccnb
from tests.credentials.conftest import LOGIN, login

HOSTILE = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture
def info(home):
    (home / "no-login").mkdir()
    (home / "no-login" / ".credentials.json").write_text(login(subscriptionType=HOSTILE))
    return ccnb.token()


def test_it_tells_what_is_known(info):
    assert isinstance(info, ccnb.TokenInfo)
    assert (info.kind, info.source, info.plan) == ("login token", "file", HOSTILE)
    assert (info.rate_limit_tier, info.expiry) == ("default_claude_max_20x", "in 5 h 12 min")
    assert info.scopes == ("user:inference", "user:profile")
    assert info.expires_at.utcoffset().total_seconds() == 0
    assert info.outlives(3600, runs=5)
    assert not info.outlives(3600, runs=6)


def test_its_value_is_in_none_of_its_forms(info):
    console = Console(file=io.StringIO(), width=200)
    console.print(info)
    forms = [repr(info), str(vars(info)), info._repr_html_(), console.file.getvalue(), str(info.to_dict())]
    assert all(LOGIN[:-30] not in form for form in forms)
    assert all("sk-ant-oat01-LOGI…" in form for form in forms)
    assert LOGIN.encode() not in pickle.dumps(info)
    assert pickle.loads(pickle.dumps(info)) == info


def test_a_notebook_shows_a_table_in_which_nothing_is_markup(info):
    html = info._repr_html_()
    assert html.startswith("<table>")
    assert "<td" in html
    assert "in 5 h 12 min" in html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_terminal_shows_a_table_that_moves_no_cursor(info):
    console = Console(file=io.StringIO(), width=100)
    console.print(info)
    assert "\x1b" not in console.file.getvalue()
    assert "expires" in console.file.getvalue()


def test_without_one_it_raises(home):
    with pytest.raises(ccnb.CcnbError, match="no token found"):
        ccnb.token()
