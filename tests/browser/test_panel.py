"""The panel as a person sees it: JupyterLab in Chromium."""

from __future__ import annotations

import re
import runpy

import pytest

import ccnb
from tests.browser.lab import expect

pytestmark = pytest.mark.needs("browser", "docker", "bubblewrap")


@pytest.fixture
def panel(monkeypatch, request):
    """Return a notebook that shows the panel, with podman out of reach."""
    monkeypatch.setenv("CONTAINER_HOST", "unix:///nowhere/podman.sock")
    notebook = request.getfixturevalue("open_notebook")("import ccnb\nccnb.panel()")
    notebook.run_all_of(0)
    return notebook


def fill(out, **fields):
    for name, text in fields.items():
        out.get_by_label(name.replace("_", " "), exact=True).fill(text)


def test_it_runs_what_was_asked_for_and_shows_it(panel, picture):
    out = panel.output(0)
    expect(out.locator(".ccnb-why")).to_contain_text("podman is not ready: no podman engine answers")
    expect(out.locator("option", has_text="podman: not ready")).to_be_disabled()
    fill(out, prompt="Write a word counter.", answers_from="script:demo")
    out.get_by_label("mode", exact=True).select_option("docker")
    out.get_by_text("the same in Python").click()
    expect(out.locator(".ccnb-python").first).to_have_text(
        re.compile("mode='docker',\n    api='script:demo',")
    )
    out.get_by_role("button", name="Run", exact=True).click()
    expect(out.locator(".ccnb-word")).to_have_text("success")
    expect(out.locator(".ccnb-lines")).to_contain_text("the agent is done: 6 turns")
    picture(out, "panel")
    assert [(row.mode, row.outcome, row.spec.prompt) for row in ccnb.runs()] == [
        ("docker", "success", "Write a word counter.")
    ]
    panel.save()
    panel.page.reload()
    panel.wait_until_idle()
    expect(out.locator(".ccnb-word")).to_have_text("success")
    out.get_by_text("earlier runs").click()
    out.get_by_role("button", name="Open").click()
    expect(out.locator(".ccnb-run")).to_have_count(1)
    expect(out.locator(".ccnb-word")).to_have_text("success")


def test_every_field_counts_and_the_call_that_is_copied_does_the_same(panel, home):
    work = home / "work"
    work.mkdir()
    asked = {
        "mode": "local",
        "model": "haiku",
        "api": "script:demo",
        "workspace": str(work),
        "copy": True,
        "auth": "gateway",
        "network": "none",
        "check": "sh wordcount.sh sample.txt | grep -qx 6",
        "timeout_s": 90.0,
        "max_turns": 20,
        "budget_usd": 5.0,
        "budget_tokens": 900_000,
    }
    out = panel.output(0)
    fill(out, prompt="Write a word counter.", model="haiku", answers_from="script:demo", workspace=str(work))
    fill(out, network="none", check=asked["check"], turns_at_most="20", repeats="2")
    fill(out, **{"time limit (s)": "90", "budget (USD)": "5", "budget (tokens)": "900000"})
    out.get_by_label("mode", exact=True).select_option("local")
    out.get_by_label("credential by", exact=True).select_option("gateway")
    out.get_by_label("on a copy", exact=True).check()
    out.get_by_text("the same in Python").click()
    call = out.locator(".ccnb-python").first
    expect(call).to_contain_text("auth='gateway'")
    expect(call).to_contain_text("copy=True")
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    out.get_by_role("button", name="Copy").first.click()
    copied = call.inner_text()
    # The button doesn't say when the browser has taken it.
    panel.page.wait_for_function(
        "(text) => navigator.clipboard.readText().then((t) => t === text)", arg=copied
    )
    out.get_by_role("button", name="Run", exact=True).click()
    expect(out.locator(".ccnb-word")).to_have_text(["success, check passed"] * 2)
    specs = [row.spec for row in ccnb.runs()]
    assert [{name: getattr(spec, name) for name in asked} for spec in specs] == [asked] * 2
    (home / "copied.py").write_text(copied)
    results = runpy.run_path(str(home / "copied.py"))["results"]
    assert [result.outcome for result in results] == ["success"] * 2
    assert {row.spec.fingerprint() for row in ccnb.runs()} == {specs[0].fingerprint()}
    assert len(ccnb.runs()) == 4


def test_what_is_said_of_a_run_stays_until_something_is_changed(panel):
    out = panel.output(0)
    expect(out.get_by_label("local", exact=True)).to_be_checked()
    out.get_by_text("the same in Python").click()
    fill(out, prompt="Go.", workspace="/not/there")
    # At once: what was typed has not been written down in Python yet.
    out.get_by_role("button", name="Run", exact=True).click()
    expect(out.locator(".ccnb-python").first).to_contain_text("/not/there")
    expect(out.locator(".ccnb-error")).to_contain_text("/not/there isn't there")
    fill(out, workspace="")
    expect(out.locator(".ccnb-error")).to_have_text("")


def test_stop_ends_the_run_and_the_repeats_after_it(panel, home):
    script = home / "slow.yaml"
    script.write_text("- say: Begun.\n  tools: [{Bash: {command: ls}}]\n- say: Done.\n  wait: 60\n")
    out = panel.output(0)
    fill(out, prompt="Go.", answers_from=f"script:{script}", repeats="3")
    out.get_by_label("mode", exact=True).select_option("docker")
    out.get_by_role("button", name="Run", exact=True).click()
    expect(out.locator(".ccnb-lines")).to_contain_text("Begun.")
    out.locator(".ccnb-actions").get_by_role("button", name="Stop").click()
    expect(out.locator(".ccnb-word")).to_have_text("cancelled")
    expect(out.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    assert [row.outcome for row in ccnb.runs()] == ["cancelled"]


def test_a_mistake_is_one_line_and_starts_nothing(panel):
    out = panel.output(0)
    fill(out, prompt="Go.", answers_from="script:demo")
    out.get_by_label("time limit (s)").fill("soon")
    out.get_by_role("button", name="Run", exact=True).click()
    expect(out.locator(".ccnb-error")).to_have_text("timeout_s must be a number, not 'soon'")
    assert ccnb.runs() == []


def test_it_compares_the_modes_that_are_ticked(panel):
    out = panel.output(0)
    fill(out, prompt="Write a word counter.", answers_from="script:demo", repeats="2")
    ticks = out.get_by_role("group", name="compare in")
    expect(ticks.get_by_label("docker")).to_be_checked()
    expect(ticks.get_by_label("podman")).to_have_count(0)
    out.get_by_text("the same in Python").click()
    expect(out.locator(".ccnb-python").nth(1)).to_have_text(
        re.compile(
            r"ccnb\.compare\(\n    'Write a word counter\.',\n    modes=\[.*'docker'.*\],\n    repeats=2,"
        )
    )
    out.get_by_text("the same in Python").click()
    out.get_by_role("button", name="Compare").click()
    expect(out.locator(".ccnb-word").first).to_have_text("success")
    compared = out.locator(".ccnb-compared")
    expect(compared.get_by_role("table")).to_contain_text("docker")
    expect(compared).to_contain_text("4 of 4 runs count, of 2 arms in 2 shuffled blocks")
    expect(compared.get_by_alt_text("wall time of each run")).to_be_visible()
    name = re.search(r'ccnb\.Comparison\("(.+)"\)', compared.inner_text())[1]
    assert sorted(ccnb.Comparison(name).frame["arm"].unique()) == ["docker", "local"]
