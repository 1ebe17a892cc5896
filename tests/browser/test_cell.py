"""A `%%cc` cell as a person sees it: JupyterLab in Chromium."""

from __future__ import annotations

import re
import shlex

import pytest

import ccnb
from ccnb.render.palette import RED, ink
from tests.browser.lab import expect
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("browser", "docker")

STEPS = """\
- say: "Step {n} of the **work**."
  wait: 0.7
  tools:
    - Bash:
        command: "printf '\\\\033[31mred\\\\033[0m <b>{n}</b>\\\\n'; seq 3"
"""


HOLD = """\
- say: I wait.
  tools:
    - Bash:
        command: "until [ -e go ]; do sleep 0.1; done"
"""


class Steps:
    """A cell whose run in docker does some steps, each with a tool, and then waits to be let go."""

    def __init__(self, folder):
        self._folder = folder
        self._work = folder / "work"
        self._work.mkdir()

    def cell(self, count):
        steps = "".join(STEPS.replace("{n}", str(n + 1)) for n in range(count))
        (self._folder / "steps.yaml").write_text(f"{steps}{HOLD}- say: The end.\n")
        return "%%cc --mode docker --api script:steps.yaml --workspace work --out mine\nDo the steps."

    def go(self):
        """Let the agent come to its end."""
        (self._work / "go").touch()


@pytest.fixture
def steps(home):
    return Steps(home)


def test_lines_appear_while_it_runs_and_the_conversation_unfolds(open_notebook, steps, picture):
    notebook = open_notebook("%load_ext ccnb", steps.cell(6), "mine.outcome")
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    # Which one depends on when the view is there: it has the last lines alone.
    expect(out.locator(".ccnb-lines")).to_contain_text(re.compile(r"Step \d of the \*\*work\*\*\."))
    expect(out.locator(".ccnb-word")).to_have_text("running")
    expect(out.locator(".ccnb-mode")).to_have_text("docker")
    assert notebook.is_running(1)
    out.get_by_title("show the conversation").click()
    conversation = out.locator(".ccnb-list")
    expect(conversation.locator("strong").first).to_have_text("work")
    conversation.locator("summary").first.click()
    expect(conversation.locator("details[open]").first).to_contain_text("red <b>1</b>")
    expect(conversation.locator("details[open] span", has_text="red").first).to_have_attribute(
        "style", ink(RED)
    )
    expect(conversation).to_contain_text("Step 3")
    assert notebook.is_running(1)
    picture(notebook.cell(1), "live-run")
    shown = conversation.locator(".ccnb-piece:visible")
    out.get_by_label("filter what is shown").fill("step 2")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("Step 2 of the work.")
    out.get_by_label("filter what is shown").fill("")
    expect(shown.nth(1)).to_be_visible()
    assert_head(out)
    steps.go()
    notebook.finished(1)
    expect(out).to_contain_text("docker: success, 8 turns")
    expect(out.locator("details[open]").first).to_contain_text("Step 6 of the work.")
    notebook.run_all_of(2)
    expect(notebook.output(2)).to_contain_text("'success'")


def assert_head(out):
    """See that a run that waits for a tool says so, with what it has taken so far."""
    expect(out.locator(".ccnb-doing")).to_have_text("Bash until [ -e go ]; do sleep 0.1; done")
    expect(out.locator(".ccnb-counted")).to_have_text(re.compile(r"^7 turns · [\d,]+ tokens · ≈ \$0\.\d+$"))
    bar = out.locator(".ccnb-bar")
    # To start it takes a while on any machine; what takes less than 5 ms has no part in the bar.
    expect(bar).to_have_attribute("aria-label", re.compile(r"start \d+\.\d\d s, .*model \d+\.\d\d s"))
    expect(bar.get_by_title(re.compile(r"^model: \d+\.\d\d s$"))).to_be_visible()
    elapsed = out.locator(".ccnb-time")
    expect(elapsed).to_have_text(re.compile(r"^(\d+\.\d s|\d+ min \d\d s)$"))
    expect(elapsed).not_to_have_text(elapsed.inner_text())


def test_stop_works_while_the_cell_runs(open_notebook, steps, places):
    notebook = open_notebook("%load_ext ccnb", steps.cell(2))
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1")
    # By itself the agent would never end.
    out.get_by_role("button", name="Stop").click()
    expect(out).to_contain_text("docker: cancelled")
    notebook.finished(1)
    expect(out).to_contain_text("the run was cancelled")
    assert [row.outcome for row in ccnb.runs()] == ["cancelled"]
    wait_for(lambda: places("docker") == [])


def test_a_reload_keeps_what_is_shown_and_a_second_tab_shows_the_same(open_notebook, steps):
    notebook = open_notebook("%load_ext ccnb", steps.cell(3))
    notebook.run_all_of(0)
    notebook.run(1)
    expect(notebook.output(1).locator(".ccnb-lines")).to_contain_text("Step 1")
    notebook.save()
    second = notebook.again()
    expect(second.output(1).locator(".ccnb-lines")).to_contain_text(re.compile(r"Step \d+ of"))
    expect(second.output(1).locator(".ccnb-word")).to_have_text("running")
    steps.go()
    notebook.finished(1)
    expect(notebook.output(1)).to_contain_text("docker: success, 5 turns")
    expect(second.output(1).locator(".ccnb-word")).to_have_text("success")
    expect(second.output(1).locator(".ccnb-lines")).to_contain_text("the agent is done: 5 turns")
    notebook.save()
    for tab in (notebook, second):
        tab.page.reload()
        tab.wait_until_idle()
        expect(tab.output(1)).to_contain_text("docker: success, 5 turns")
        tab.output(1).locator("summary").first.click()
        expect(tab.output(1)).to_contain_text("Step 3 of the work.")


def test_on_a_narrow_page_the_keys_alone_unfold_and_stop(open_notebook, steps):
    notebook = open_notebook("%load_ext ccnb", steps.cell(2))
    notebook.run_all_of(0)
    notebook.page.set_viewport_size({"width": 420, "height": 800})
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-lines")).to_contain_text("Step 1")
    inner, outer = out.locator(".ccnb-run").evaluate("node => [node.scrollWidth, node.clientWidth]")
    assert inner <= outer, "it needs no scrolling sideways"
    out.get_by_title("show the conversation").focus()
    notebook.page.keyboard.press("Enter")
    expect(out.locator(".ccnb-list")).to_contain_text("Step 1")
    notebook.page.keyboard.press("Tab")
    expect(out.get_by_role("button", name="Stop")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(out).to_contain_text("docker: cancelled")


def test_a_kernel_that_restarts_goes_on_showing_the_run(open_notebook, steps):
    notebook = open_notebook("%load_ext ccnb", steps.cell(3), "%load_ext ccnb", "")
    notebook.run_all_of(0)
    notebook.run(1)
    expect(notebook.output(1).locator(".ccnb-lines")).to_contain_text("Step 2")
    notebook.restart_kernel()
    (row,) = ccnb.runs()
    notebook.run_all_of(2)
    notebook.write_in(3, f"%cc_attach {row.run_id}")
    notebook.run(3)
    out = notebook.output(3)
    expect(out.locator(".ccnb-word")).to_have_text("running")
    out.get_by_title("show the conversation").click()
    expect(out.locator(".ccnb-list")).to_contain_text("Step 1 of the work.")
    steps.go()
    notebook.finished(3)
    expect(out).to_contain_text("docker: success, 5 turns")
    said = [event.text for event in ccnb.attach(row.run_id).result().events if event.type == "assistant"]
    assert [text for text in said if text] == [
        *(f"Step {n} of the **work**." for n in (1, 2, 3)),
        "I wait.",
        "The end.",
    ]


@pytest.mark.needs("bubblewrap")
def test_several_modes_are_one_view_and_a_comparison(open_notebook, picture):
    cell = "%%cc --mode docker,local --api script:demo --out both\nWrite a word counter."
    notebook = open_notebook("%load_ext ccnb", cell)
    notebook.run_all_of(0)
    notebook.run(1)
    out = notebook.output(1)
    expect(out.locator(".ccnb-run")).to_have_count(2)
    notebook.finished(1)
    for mode in ("docker", "local"):
        expect(out).to_contain_text(f"{mode}: success, 6 turns")
    expect(out.get_by_role("table")).to_contain_text("wall time")
    expect(out).to_contain_text("2 of 2 runs count, of 2 arms in 1 shuffled block")
    expect(out.get_by_alt_text("wall time of each run")).to_be_visible()
    picture(notebook.cell(1), "comparison-cell")


RUNS, EVENTS = 4, 10_000
FLOOD = f"init; i=0; while [ $i -lt {EVENTS} ]; do say 'a line of the agent'; i=$((i+1)); done"
FROM_END = "node => node.scrollHeight - node.clientHeight - node.scrollTop"
MOST_BYTES = 2_000_000 * RUNS * EVENTS / 100_000


@pytest.mark.needs("bubblewrap")
def test_a_flood_from_four_runs_leaves_page_and_kernel_usable(home, agent, request):
    """`python -m bench page` does the same with 200,000 events."""
    flood = f"{FLOOD}; while [ -d {home} ] && [ ! -e {home}/go ]; do sleep 0.1; done; result"
    given = agent("local", flood)
    options = f"--api {given['api']} --env {shlex.quote(f'AGENT={flood}')} --isolation none"
    cell = f"%%cc -m local {options} --bg --out mine\nGo."
    notebook = request.getfixturevalue("open_notebook")("%load_ext ccnb", *[cell] * RUNS, "6 * 7")
    notebook.run_all_of(0)
    for number in range(1, RUNS + 1):
        notebook.run_all_of(number)
    views = [notebook.output(number) for number in range(1, RUNS + 1)]
    views[0].get_by_title("show the conversation").click()
    notebook.run_all_of(RUNS + 1)
    expect(notebook.output(RUNS + 1)).to_contain_text("42")
    assert any(row.outcome is None for row in ccnb.runs()), "they go on meanwhile"
    expect(views[0].locator(".ccnb-place")).to_contain_text(f"of {EVENTS + 1}")
    assert 0 < views[0].locator(".ccnb-piece").count() <= 200
    assert sum(view.locator("*").count() for view in views) < 2_500
    views[0].get_by_role("button", name="Earlier").click()
    follow = views[0].get_by_role("button", name="Follow", exact=True)
    expect(follow).to_be_visible()
    expect(views[0].locator(".ccnb-place")).not_to_contain_text(f"to {EVENTS + 1} of")
    follow.click()
    expect(views[0].get_by_role("button", name="Following")).to_be_visible()
    expect(views[0].locator(".ccnb-place")).to_contain_text(f"to {EVENTS + 1} of {EVENTS + 1}")
    assert views[0].locator(".ccnb-list").evaluate(FROM_END) < 2
    (home / "go").touch()
    for view in views:
        expect(view).to_contain_text("local: success, 1 turn")
    assert notebook.received_bytes < MOST_BYTES
    assert [len(ccnb.attach(row.run_id).events) for row in ccnb.runs()] == [EVENTS + 2] * RUNS
