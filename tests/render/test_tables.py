"""Tables of the machine and the token: what is known is a row, and no text in a cell is markup."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from ccnb.render.grid import Grid
from ccnb.render.machine import doctor_table, facts_table, sandboxes_table
from ccnb.render.token import token_table

TOKEN = {
    "masked": "sk-ant-…wxyz",
    "kind": "OAuth token",
    "where": "CLAUDE_CODE_OAUTH_TOKEN",
    "source": "environment",
    "expiry": "in 3 days",
    "expires_at": "2026-01-05T00:00:00+00:00",
    "plan": "max",
    "scopes": ["user:inference", "user:profile"],
    "rate_limit_tier": None,
    "warnings": ["it ends before the run does"],
}


def plain(grid, width=100):
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(grid)
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip()]


def test_of_a_token_what_is_known_is_shown():
    assert plain(token_table(TOKEN)) == [
        "token sk-ant-…wxyz OAuth token",
        "found in CLAUDE_CODE_OAUTH_TOKEN (environment)",
        "expires in 3 days",
        "plan max",
        "scopes user:inference user:profile",
        "warning it ends before the run does",
    ]


def test_of_a_token_that_says_little_only_that_is_shown():
    little = TOKEN | {"source": "file", "where": ".env", "plan": None, "scopes": [], "warnings": []}
    assert plain(token_table(little | {"expires_at": None, "expiry": "unknown"})) == [
        "token sk-ant-…wxyz OAuth token",
        "found in .env",
        "expires unknown",
    ]


def test_modes_stand_side_by_side_with_a_dash_for_what_one_does_not_say():
    modes = [
        {"mode": "docker", "facts": {"where": "a container", "wall": "namespaces"}},
        {"mode": "local", "facts": {"where": "a process"}},
    ]
    shown = plain(facts_table(modes))
    assert shown[0] == "docker local"
    assert shown[-2:] == ["where a container a process", "wall namespaces -"]


def test_what_was_found_stands_beside_what_to_do():
    shown = plain(doctor_table([("git", "2.39", ""), ("docker", "not there", "start it")]))
    assert shown[-2:] == ["git 2.39", "docker not there start it"]


def test_a_sandbox_is_a_row():
    row = {
        "name": "n",
        "lasting": "yes",
        "run_id": "r",
        "program": "sbx",
        "run": "running",
        "workspace": "/w",
    }
    assert plain(sandboxes_table([row]))[-1] == "n yes r sbx running /w"


def test_in_a_notebook_no_text_is_markup():
    grid = Grid(("<b>", "n"), [("<script>x</script>\nmore", "1")], title="a & b", right=frozenset({1}))
    page = grid._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;x&lt;/script&gt;<br>more" in page
    assert page.startswith("<table><caption>a &amp; b</caption><thead>")
    assert page.endswith("</tbody></table>")


def test_without_headings_there_is_no_head():
    page = Grid(("", ""), [("a", "b")])._repr_html_()
    assert "thead" not in page
    assert "caption" not in page
