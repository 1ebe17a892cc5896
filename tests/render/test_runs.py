"""Runs as summaries, bars and tables."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ccnb import render
from ccnb.events import Usage
from ccnb.render import html
from ccnb.results import PHASES, CheckResult, ErrorInfo, FileChange, RunRecord, Timings
from ccnb.spec import RunSpec

SECONDS = st.floats(0, 1e5, allow_nan=False)
RECORD = RunRecord(
    run_id="261124-063549-ddjan",
    mode="docker",
    spec=RunSpec(prompt="Do it", mode="docker"),
    outcome="success",
    started_at=datetime.now(UTC),
    text="It is done.",
    usage=Usage(input_tokens=900, output_tokens=200),
    timings=Timings(create_s=0.2, start_s=0.3, agent_s=1.0, model_s=0.7, tools_s=0.3, cleanup_s=0.1),
    files=(FileChange("a.txt", "made", 1500), FileChange("old", "removed")),
    check=CheckResult("true", 0, ""),
    num_turns=2,
    total_cost_usd=0.01,
    conditions={"model": "claude-x"},
)
FAILED = replace(
    RECORD,
    mode="podman",
    outcome="timeout",
    check=CheckResult("pytest", 1, "one\ntwo\nthree\nfour\n"),
    error=ErrorInfo("timeout", "the agent did not end", "raise timeout_s"),
    denials=("Bash",),
    warnings=("look before you open the folder",),
)


def shown(renderable, width=120):
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(renderable)
    return out.getvalue()


def test_summary_of_a_good_run():
    text = shown(render.summary(RECORD, kept_in="/home/x/runs/1"))
    for words in (
        "success, check passed",
        "It is done.",
        "+ a.txt (1.5 kB), - old",
        "1.50 s: create 0.20, start 0.30, agent 1.00 (model 0.70, tools 0.30)",
        "claude-x: 2 turns, 900 tokens in, 200 out, $0.0100",
        "/home/x/runs/1",
    ):
        assert words in text


def test_what_a_machine_far_away_cost_stands_next_to_the_models_cost():
    conditions = {"machine_usd": 0.0026, "guest": "shared-cpu-2x, 2048 MB", "machine_prices_as_of": "2025-10"}
    far = replace(RECORD, mode="fly", conditions=conditions)
    said = "shared-cpu-2x, 2048 MB: $0.0026, an estimate by prices of 2025-10"
    assert said in shown(render.summary(far, kept_in=""))
    assert said in html.result(far)
    assert "machine" not in shown(render.summary(RECORD, kept_in=""))
    lines = shown(render.comparison([RECORD, far])).splitlines()
    assert [line.split()[2:] for line in lines if "machine's cost" in line] == [["-", "$0.0026"]]
    assert "machine's cost" not in shown(render.comparison([RECORD, RECORD]))


def test_summary_of_a_bad_run_says_why_and_what_to_do():
    text = shown(render.summary(FAILED, kept_in="/x"))
    for words in (
        "timeout, check failed",
        "the agent did not end; raise timeout_s",
        "pytest ended with 1",
        "four",
        "Bash",
        "look before",
    ):
        assert words in text
    assert "one" not in text.split("ended with 1")[1].split("four")[0]


def test_summary_shows_nothing_harmful():
    evil = "\x1b]0;x\x07[red]y"
    record = replace(
        FAILED,
        text=evil,
        files=(FileChange(evil, "made", 1),),
        check=CheckResult(evil, 1, evil),
        warnings=(evil,),
        denials=(evil,),
        error=ErrorInfo("x", evil),
        conditions={"model": evil},
    )
    out = shown(render.summary(record, kept_in="/x")) + shown(render.comparison([record, record]))
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[red]y" in out


def test_comparison_sets_runs_side_by_side():
    lines = shown(render.comparison([RECORD, FAILED], "side by side")).splitlines()
    by_name = {line[:18].strip(): line[18:].split() for line in lines if line[:18].strip()}
    assert "docker" in lines[1]
    assert "podman" in lines[1]
    assert by_name["outcome"] == ["success", "timeout"]
    assert by_name["check"] == ["passed", "failed"]
    assert by_name["wall time"] == ["1.50", "s", "1.50", "s"]
    assert by_name["model"] == ["0.70", "s", "0.70", "s"]
    assert by_name["turns"] == ["2", "2"]
    assert "setup" not in by_name, "a phase that no run had is no row"


def test_comparison_has_a_row_for_a_phase_however_short_it_was():
    # Which rows there are doesn't hang on how fast a machine is.
    quick = replace(RECORD, timings=replace(RECORD.timings, start_s=0.001))
    lines = shown(render.comparison([quick, quick])).splitlines()
    assert [line.split() for line in lines if "start" in line] == [["start", "0.00", "s", "0.00", "s"]]


@given(st.lists(SECONDS, min_size=len(PHASES), max_size=len(PHASES)), st.integers(10, 100))
def test_a_bar_never_leaves_its_width(seconds, width):
    bar = render.phase_bar(Timings(**dict(zip(PHASES, seconds, strict=True))), width)
    for line in bar.plain.splitlines():
        assert len(line) == 12 + width + 12
        assert 0 < line.count("█") <= width


def listed(**values):
    common = {
        "run_id": RECORD.run_id,
        "mode": "docker",
        "state": "done",
        "started_at": datetime.now(UTC),
        "prompt": "Write a haiku about the sea to haiku.txt and tell me about it",
        "size_bytes": 1234,
        "record": RECORD,
    }
    return render.ListedRun(**common | values)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_list_of_runs_fits_and_keeps_ids_whole(width):
    running = listed(state="running", record=None)
    old = listed(started_at=datetime.now(UTC) - timedelta(days=400), prompt="\x1b[2Jevil\n\nprompt")
    text = shown(render.runs_table([listed(), running, old]), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert text.count(RECORD.run_id) == 3
    assert text.count("Write a ha") == 2
    assert "running" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 5


def test_no_files_is_an_empty_table():
    assert "change" in shown(render.files_table([]))


def test_readiness_says_what_to_do():
    modes = [
        {
            "mode": "docker",
            "ready": False,
            "version": "",
            "why": "no docker engine answers",
            "next_action": "start Docker Desktop",
            "facts": {"where": "here"},
            "notes": (),
        },
        {
            "mode": "local",
            "ready": True,
            "version": "2.1",
            "why": "",
            "next_action": "",
            "facts": {"isolation": "namespaces", "where": "this machine"},
            "notes": ("no limits",),
        },
    ]
    text = shown(render.readiness_table(modes))
    for words in ("not ready", "no docker engine answers", "start Docker Desktop", "namespaces", "no limits"):
        assert words in text
    assert "this machine" in shown(render.facts_table(modes))


def test_status_line():
    line = render.status_line(
        state="running", health="rate_limited", elapsed_s=12.3, turns=4, tokens=12_345, note="step\n2"
    )
    assert line.plain == "running  12.3 s  4 turns, 12.3k tokens  rate limited  step 2"
