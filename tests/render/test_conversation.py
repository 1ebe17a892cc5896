"""A conversation as HTML: folded, coloured, bounded, and nothing in it that acts."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import Event
from ccnb.render.ansi import ansi
from ccnb.render.conversation import conversation, items
from ccnb.render.palette import GREEN, ink
from tests.kept import answer, use, words

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def shown(*messages):
    events = [Event(m["type"], m.get("subtype"), NOW, n, m) for n, m in enumerate(messages)]
    return conversation([item for event in events for item in items(event)])


def test_a_result_is_folded_within_its_call():
    html = shown(use("1", "Bash", command="seq 2"), words("Between."), answer("1", "one\ntwo"))
    assert html.startswith("<details><summary>")
    call, _, after = html.partition("</details>")
    assert "seq 2" in call
    assert "one\ntwo" in call
    assert "Between." in after


def test_a_call_that_failed_says_so_where_it_is_folded():
    html = shown(
        use("1", "Bash", command="false"),
        answer("1", "<tool_use_error>no\nway</tool_use_error>", failed=True),
    )
    assert "✗" in html.partition("</summary>")[0]
    assert "tool_use_error" not in html


def test_a_result_whose_call_is_not_there_stands_alone():
    assert "late" in shown(answer("9", "late"))


def test_an_edit_is_a_coloured_diff():
    html = shown(use("1", "Edit", file_path="/w/a.py", old_string="a\nb", new_string="a\nc"))
    assert '<div style="background:rgba(248,81,73,.2)">-b</div>' in html
    assert '<div style="background:rgba(46,160,67,.2)">+c</div>' in html
    assert "<div> a</div>" in html


def test_thinking_is_folded_and_text_is_markdown():
    thought = {"type": "thinking", "thinking": "Hmm.\nMaybe."}
    html = shown({"type": "assistant", "message": {"content": [thought]}}, words("**bold** <img src=x>"))
    assert "<details><summary><i>… Hmm. Maybe.</i></summary>" in html
    assert "<strong>bold</strong>" in html
    assert "<img" not in html


def test_a_programs_colours_are_kept_and_its_other_codes_are_not():
    html = shown(answer("1", "\x1b[32mgood\x1b[0m\n\x1b[2J\x1b]0;title\x07<script>"))
    assert f'<span style="{ink(GREEN)}">good</span>' in html
    assert "\x1b" not in html
    assert "<script" not in html


@given(st.text(alphabet=st.sampled_from("\x1b[]0;31m<>&\"'ab\n\r\x07"), max_size=60))
def test_whatever_a_program_prints_makes_no_tag_of_its_own(text):
    html = ansi(text)
    for tag in html.split("<")[1:]:
        assert tag.startswith(("span style=", "/span>"))


def test_a_megabyte_is_cut():
    many = "x" * 1_000_000
    html = shown(
        words(many),
        use("1", "Bash", command=many),
        answer("1", many + "\n"),
        use("2", "Write", file_path="a", content=many),
    )
    assert len(html) < 60_000
