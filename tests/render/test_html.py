"""HTML of values: everything escaped, nothing fetched, readable without styles."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccnb
from ccnb.render import Cell, Grid, html
from ccnb.render.shown import Patch
from ccnb.results import ErrorInfo, Timings
from ccnb.store import Store
from tests.kept import keep_run

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b]0;title\x07"
ALLOWED = {
    *("div", "span", "b", "i", "br", "hr", "code", "pre", "em", "strong", "s", "a", "p", "ul", "ol", "li"),
    *("blockquote", "h1", "h2", "h3", "h4", "h5", "h6"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"style", "title", "href", "class", "start"}


class Page(HTMLParser):
    """What a page has: its text, its elements, its attributes."""

    def __init__(self, text):
        super().__init__()
        self.words, self.elements, self.attributes = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words += data


def assert_harmless(page):
    assert set(page.elements) <= ALLOWED
    for name, value in page.attributes:
        assert name in ATTRIBUTES
        assert "url(" not in (value or "")
        if name == "href":
            assert not value.lower().startswith(("javascript:", "data:", "vbscript:", "file:"))
    assert "\x1b" not in page.words


@pytest.fixture
def store(home):
    (home / "runs").mkdir()
    return Store(home)


def shown(value):
    return Page(value._repr_html_())


def test_a_result_says_how_it_ended_what_it_took_and_what_it_made(store):
    page = shown(keep_run(store, "r1"))
    for words in (
        "success, check passed in docker, run r1",
        "6.00 s:  image 0.10,  create 0.20,  start 0.30,  first event 0.50,  model 3.00,  tools 1.00,  check",
        "claude-opus-5-5: 3 turns, 5,030 tokens in, 200 out, $0.0123",
        "+ a.py (10 B)",
        "It is done.",
    ):
        assert words in page.words
    assert "strong" in page.elements
    assert_harmless(page)


def test_the_bar_is_as_long_as_the_phases_took():
    found = re.findall(
        r'title="([\w ]+): [^"]+" style="width:([\d.]+)%',
        html.bar(Timings(1, 1, agent_s=2, model_s=1, tools_s=1)),
    )
    assert found == [("image", "25.00"), ("create", "25.00"), ("model", "25.00"), ("tools", "25.00")]
    assert html.bar(Timings()) == ""


def test_what_went_wrong_is_said(store):
    error = ErrorInfo("x", "the API <refused>", "log in again")
    result = keep_run(store, "r1", outcome="agent_error", error=error, warnings=("look <first>",), check=None)
    page = shown(result)
    assert "agent_error in docker" in page.words
    assert "the API <refused>; log in again" in page.words
    assert "look <first>" in page.words
    assert_harmless(page)


def test_nothing_of_the_agent_is_taken_for_html(store):
    error = ErrorInfo(NASTY, NASTY, NASTY)
    result = keep_run(store, "r1", prompt=NASTY, text=NASTY, error=error, outcome=NASTY, warnings=(NASTY,))
    for page in (shown(result), Page(html.patch(NASTY)), shown(ccnb.runs())):
        assert_harmless(page)
        assert "<script>alert(1)</script>" in page.words


@given(
    st.text()
    | st.lists(st.sampled_from([NASTY, "](", "![", "`", "javascript:", "|", "\n", "<", "&"])).map("".join)
)
def test_no_markdown_makes_what_is_not_harmless(text):
    assert_harmless(Page(html.markdown(text)))
    assert_harmless(Page(html.patch(text)))


def test_pictures_are_not_fetched_and_links_lead_to_pages_only():
    page = Page(html.markdown("![p](https://a.b/x.png) [good](https://a.b) [bad](javascript:alert(1))"))
    assert "img" not in page.elements
    assert ("href", "https://a.b") in page.attributes
    assert_harmless(page)


def test_a_long_answer_and_a_long_patch_are_cut():
    assert len(html.markdown("word " * 100_000)) < 30_000
    page = html.patch("\n".join(f"+line {n}" for n in range(10_000)))
    assert "and 9,400 more lines" in page
    assert len(page) < 100_000


def test_a_patch_is_coloured_line_by_line():
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n"
    lines = re.findall(r"<div(?: style=\"background:([^\"]+)\")?>(.*?)</div>", html.patch(text))
    marked = {re.sub("<.*?>", "", line): bool(background) for background, line in lines}
    assert [marked[line] for line in ("-old", "+new", " same", "+++ b/x")] == [True, True, False, False]


def test_an_empty_patch_says_so():
    assert "nothing was changed" in Patch("")._repr_html_()


def test_a_patch_is_a_text_that_shows_no_token():
    token = "sk-ant-oat01-" + "a1B2" * 12
    patch = Patch(f"+{token}\n")
    assert patch == f"+{token}\n"
    assert token not in str(patch._repr_mimebundle_())


def test_a_grid_is_a_table():
    grid = Grid(("name", "size"), [(Cell("a<b", "red"), "10\n20")], "things", right=frozenset({1}))
    page = Page(html.table(grid))
    assert page.elements.count("td") == 2
    assert "a<b" in page.words
    assert "thead" in page.elements
    assert "thead" not in Page(html.table(Grid(("", ""), []))).elements


def test_runs_and_modes_are_lists_that_look_like_tables(store):
    result = keep_run(store, "r1")
    found = ccnb.runs()
    assert isinstance(found, list)
    assert "r1" in shown(found).words
    assert "r1" in found._repr_mimebundle_()["text/plain"]
    assert "no runs yet" in shown(ccnb.runs(outcome="lost")).words
    modes = shown(ccnb.modes())
    assert all(name in modes.words for name in ("docker", "podman", "local"))
    assert_harmless(modes)
    assert repr(result) == "<RunResult r1 docker: success, check passed>"


def test_a_long_list_of_runs_is_cut(store):
    for number in range(55):
        keep_run(store, f"r{number}")
    bundle = ccnb.runs()._repr_mimebundle_()
    assert "and 5 more" in bundle["text/plain"]
    assert bundle["text/html"].count("<tr>") == 51


def test_both_forms_are_given_as_ipython_asks(store):
    result = keep_run(store, "r1")
    assert set(result._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert set(result._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(result._repr_mimebundle_(exclude={"text/plain"})) == {"text/html"}
