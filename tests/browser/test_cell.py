"""A `%%cc` cell as a person sees it: JupyterLab in Chromium."""

from __future__ import annotations

import re
import shlex
import time

import pytest

import ccnb
from tests.browser.lab import expect

pytestmark = pytest.mark.needs("browser", "docker")

STEPS = """\
- say: "Step {n} of the **work**."
  wait: 0.7
  tools:
    - Bash:
        command: "printf '\\\\033[31mred\\\\033[0m <b>{n}</b>\\\\n'; seq 3"
"""


@pytest.fixture
def slow_cell(home):
    """Return a function that gives a cell whose run in docker takes a few seconds, or goes on for long."""

    def cell(steps=6, options=""):
        script = home / "steps.yaml"
        script.write_text(
            "".join(STEPS.replace("{n}", str(n + 1)) for n in range(steps)) + "- say: The end.\n"
        )
        return f"%%cc --mode docker --api script:steps.yaml --out mine {options}\nDo the steps."

    return cell


def test_lines_appear_while_it_runs_and_the_conversation_unfolds(open_notebook, slow_cell, picture):
    notebook = open_notebook("%load_ext ccnb", slow_cell(), "mine.outcome")
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1 of the **work**.")
    expect(out.locator(".ccnb-word")).to_have_text("running")
    expect(out.locator(".ccnb-mode")).to_have_text("docker")
    assert notebook.is_running(1)
    out.get_by_title("show the conversation").click()
    conversation = out.locator(".ccnb-list")
    expect(conversation.locator("strong").first).to_have_text("work")
    conversation.locator("summary").first.click()
    expect(conversation.locator("details[open]").first).to_contain_text("red <b>1</b>")
    expect(conversation.locator("details[open] span", has_text="red").first).to_have_css(
        "color", "rgb(229, 83, 75)"
    )
    expect(conversation).to_contain_text("Step 3")
    assert notebook.is_running(1)
    picture(notebook.cell(1), "live-run.png")
    notebook.finished(1)
    expect(out).to_contain_text("docker: success, 7 turns")
    expect(out.locator("details[open]").first).to_contain_text("Step 6 of the work.")
    picture(notebook.cell(1), "finished-run.png")
    notebook.run_all_of(2)
    expect(notebook.output(2)).to_contain_text("'success'")


def test_stop_works_while_the_cell_runs(open_notebook, slow_cell, places):
    notebook = open_notebook("%load_ext ccnb", slow_cell(100))
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1")
    began = time.monotonic()
    out.get_by_role("button", name="Stop").click()
    expect(out).to_contain_text("docker: cancelled")
    assert time.monotonic() - began < 10
    notebook.finished(1)
    expect(out).to_contain_text("the run was cancelled")
    assert [row.outcome for row in ccnb.runs()] == ["cancelled"]
    until = time.monotonic() + 20
    while places("docker") and time.monotonic() < until:
        time.sleep(0.2)
    assert places("docker") == []


def test_a_reload_keeps_what_is_shown_and_a_second_tab_shows_the_same(open_notebook, slow_cell):
    notebook = open_notebook("%load_ext ccnb", slow_cell(25))
    notebook.run_all_of(0)
    notebook.run(1)
    expect(notebook.output(1).locator(".ccnb-lines")).to_contain_text("Step 1")
    notebook.save()
    second = notebook.again()
    expect(second.output(1).locator(".ccnb-lines")).to_contain_text(re.compile(r"Step \d+ of"))
    expect(second.output(1).locator(".ccnb-word")).to_have_text("running")
    notebook.finished(1)
    expect(notebook.output(1)).to_contain_text("docker: success, 26 turns")
    expect(second.output(1).locator(".ccnb-word")).to_have_text("success")
    expect(second.output(1).locator(".ccnb-lines")).to_contain_text("the agent is done: 26 turns")
    notebook.save()
    for tab in (notebook, second):
        tab.page.reload()
        tab.wait_until_idle()
        expect(tab.output(1)).to_contain_text("docker: success, 26 turns")
        tab.output(1).locator("summary").first.click()
        expect(tab.output(1)).to_contain_text("Step 25 of the work.")


def test_the_keys_alone_unfold_and_stop(open_notebook, slow_cell):
    notebook = open_notebook("%load_ext ccnb", slow_cell(100))
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1")
    out.get_by_title("show the conversation").focus()
    notebook.page.keyboard.press("Enter")
    expect(out.locator(".ccnb-list")).to_contain_text("Step 1")
    notebook.page.keyboard.press("Tab")
    expect(out.get_by_role("button", name="Stop")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(out).to_contain_text("docker: cancelled")


def test_the_filter_hides_what_does_not_fit(open_notebook, slow_cell):
    notebook = open_notebook("%load_ext ccnb", slow_cell(100))
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    out.get_by_title("show the conversation").click()
    expect(out.locator(".ccnb-list")).to_contain_text("Step 2")
    out.get_by_label("filter what is shown").fill("step 2")
    expect(out.locator(".ccnb-piece:visible")).to_have_count(1)
    expect(out.locator(".ccnb-piece:visible")).to_contain_text("Step 2 of the work.")
    out.get_by_role("button", name="Stop").click()
    expect(out).to_contain_text("docker: cancelled")


def test_a_narrow_page_needs_no_scrolling_sideways(open_notebook, slow_cell):
    notebook = open_notebook("%load_ext ccnb", slow_cell(100))
    notebook.page.set_viewport_size({"width": 420, "height": 800})
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1")
    wide = "node => [node.scrollWidth, node.clientWidth]"
    inner, outer = out.locator(".ccnb-run").evaluate(wide)
    assert inner <= outer
    out.get_by_role("button", name="Stop").click()
    expect(out).to_contain_text("docker: cancelled")


FLOOD = "init; i=0; while [ $i -lt 30000 ]; do say 'a line of the agent'; i=$((i+1)); done; sleep 8; result"


@pytest.mark.needs("bubblewrap")
def test_a_flood_leaves_the_page_small_and_usable(home, agent, request):
    given = agent("local", FLOOD)
    cell = f"%%cc -m local --api {given['api']} --env {shlex.quote(f'AGENT={FLOOD}')} --out mine\nGo."
    notebook = request.getfixturevalue("open_notebook")("%load_ext ccnb", cell)
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    out.get_by_title("show the conversation").click()
    expect(out.locator(".ccnb-place")).to_contain_text("of 30001")
    assert 0 < out.locator(".ccnb-piece").count() <= 200
    assert out.locator("*").count() < 1_500
    out.get_by_role("button", name="Earlier").click()
    expect(out.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    notebook.finished(1)
    assert len(ccnb.attach(ccnb.runs()[0].run_id).events) == 30_002
