"""Frames: declared columns, for none and for many, from results and from the store."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

import ccnb
from ccnb import frames
from ccnb.errors import SpecError
from ccnb.frames.columns import COLUMNS, markdown
from ccnb.results import ErrorInfo
from ccnb.store import Store
from tests.kept import BEGAN, answer, keep_run, use, words

NAMES = sorted(COLUMNS)
DOCUMENT = Path(__file__).parents[2] / "docs" / "frames.md"
EVENTS = [
    (1.0, {"type": "system", "subtype": "init", "session_id": "s"}),
    (2.0, words("I look.")),
    (2.5, use("t1", command="ls -l\nwc -l *")),
    (3.0, answer("t1", "a log of many words " * 1000)),
    (3.5, use("t2", "Read", file_path="/w/a.py")),
    (3.75, answer("t2", "no such file", failed=True)),
    (4.0, use("t3", "Write")),
]


def frame(name, *given, **where):
    return getattr(frames, f"{name}_frame")(*given, **where)


@pytest.fixture
def store(home):
    (home / "runs").mkdir()
    return Store(home)


@pytest.fixture
def results(store):
    one = keep_run(store, "r1", events=EVENTS, prompt="Line one\nline two " + "x" * 200)
    two = keep_run(
        store,
        "r2",
        mode="podman",
        began=BEGAN + 60,
        outcome="agent_error",
        check=None,
        error=ErrorInfo("max_tokens", "too long"),
        text="Something else entirely.",
    )
    return [one, two]


@pytest.mark.parametrize("name", NAMES)
def test_none_and_many_have_the_declared_columns_and_dtypes(results, name):
    empty, full = frame(name, []), frame(name, results)
    declared = {column.name: column.dtype for column in COLUMNS[name]}
    assert list(empty.columns) == list(full.columns) == list(declared)
    assert list(empty.dtypes) == list(full.dtypes)
    assert {name: str(dtype) for name, dtype in full.dtypes.items()} == declared
    assert len(empty) == 0
    assert len(full) > 0 or name == "calls"


@pytest.mark.parametrize("name", NAMES)
def test_one_result_is_a_list_of_one(results, name):
    pd.testing.assert_frame_equal(frame(name, results[0]), frame(name, results[:1]))


@pytest.mark.parametrize("name", NAMES)
def test_the_store_gives_what_its_results_give_the_latest_first(results, name):
    latest_first = results[::-1]
    pd.testing.assert_frame_equal(frame(name), frame(name, latest_first))
    pd.testing.assert_frame_equal(frame(name), frame(name, ccnb.runs()))
    pd.testing.assert_frame_equal(frame(name, mode="docker"), frame(name, results[:1]))
    pd.testing.assert_frame_equal(frame(name, outcome="agent_error", limit=5), frame(name, results[1:]))
    assert len(frame(name, outcome="lost")) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_mode_whose_package_is_gone_is_known_by_its_runs(store, name):
    result = keep_run(store, "r", mode="theirs", events=EVENTS)
    pd.testing.assert_frame_equal(frame(name, mode="theirs"), frame(name, result))


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_holds_a_log(results, name):
    cells = frame(name, results).astype(object).to_numpy().ravel()
    assert max(len(str(cell)) for cell in [*cells, ""]) <= 120


def test_a_run_that_goes_on_has_what_is_known_of_it(store):
    keep_run(store, "r3", finished=False, events=EVENTS[:2])
    (row,) = frames.runs_frame().to_dict("records")
    assert (row["run_id"], row["state"], row["mode"]) == ("r3", "preparing", "docker")
    assert pd.isna(row["outcome"])
    assert pd.isna(row["wall_s"])
    assert len(frames.events_frame()) == 2
    assert len(frames.phases_frame()) == 0


def test_runs_have_their_outcome_times_tokens_and_cost(results):
    one, two = frames.runs_frame(results).to_dict("records")
    assert one["wall_s"] == pytest.approx(results[0].timings.wall_s)
    assert one["started_at"] == results[0].started_at
    assert (one["output_tokens"], one["total_cost_usd"], one["num_turns"]) == (200, 0.0123, 3)
    assert (one["check_passed"], one["num_files"], one["model"]) == (True, 2, "claude-opus-5-5")
    assert one["prompt"].startswith("Line one line two xxx")
    assert (two["outcome"], two["error_kind"]) == ("agent_error", "max_tokens")
    assert pd.isna(two["check_passed"])


def test_events_tell_their_time_and_size(results):
    found = frames.events_frame(results[0])
    assert list(found["since_s"].round(3)) == [since for since, _ in EVENTS]
    assert list(found["size_bytes"]) == [len(json.dumps(raw)) for _, raw in EVENTS]
    assert list(found["type"])[:3] == ["system", "assistant", "assistant"]
    assert list(found["is_error"].dropna()) == [False, True]
    assert found["at"].dt.tz is not None


def test_each_call_of_a_tool_has_its_answer(results):
    found = frames.tools_frame(results).set_index("tool_use_id")
    assert list(found["tool_name"]) == ["Bash", "Read", "Write"]
    assert found.loc["t1", "input"] == "ls -l wc -l *"
    assert found.loc["t1", "duration_s"] == pytest.approx(0.5)
    assert (found.loc["t1", "is_error"], found.loc["t2", "is_error"]) == (False, True)
    assert found.loc["t2", "result_chars"] == len("no such file")
    assert pd.isna(found.loc["t3", "duration_s"])


def test_two_calls_in_one_message_are_two_rows(store):
    both = use("a")
    both["message"]["content"] += use("b", "Read")["message"]["content"]
    result = keep_run(store, "r", events=[(1, both), (2, answer("b")), (3, answer("a"))])
    assert list(frames.tools_frame(result)["duration_s"].round(3)) == [2.0, 1.0]


def test_phases_add_up_to_the_wall_time(results):
    found = frames.phases_frame(results)
    walls = found[found["in_wall"]].groupby("run_id")["seconds"].sum()
    assert walls["r1"] == pytest.approx(results[0].timings.wall_s)
    assert "agent" not in set(found["phase"])
    assert found["phase"].cat.ordered


def test_calls_are_the_gateways(store):
    at = datetime.fromtimestamp(BEGAN + 2, UTC)
    call = {"at": at, "stream": True, "status": 200, "retries": 1, "input_tokens": 5, "end": "cut"}
    result = keep_run(store, "r", calls=[call])
    (row,) = frames.calls_frame(result).to_dict("records")
    assert (row["status"], row["retries"], row["input_tokens"], row["since_s"]) == (200, 1, 5, 2.0)
    assert pd.isna(row["model"])


def test_answers_are_alike_by_their_words(results):
    found = frames.similarity_frame(results).set_index(["run_id", "other_run_id"])["similarity"]
    assert found["r1", "r1"] == 1.0
    assert found["r1", "r2"] == found["r2", "r1"] < 0.5


def test_a_result_from_elsewhere_needs_no_store(results, tmp_path):
    away = dataclasses.replace(results[0], home=tmp_path / "nowhere")
    pd.testing.assert_frame_equal(frames.runs_frame(away), frames.runs_frame(results[0]))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("given", "where", "sentence"),
    [
        (["r1"], {}, "'r1' is no result of a run"),
        ("r1", {}, "'r1' is no list of results"),
        (3, {}, "3 is no list of results"),
        ([], {"mode": "docker"}, "a filter chooses from the store"),
        (None, {"mdoe": "docker"}, "did you mean 'mode'?"),
        (None, {"mode": "dokcer"}, "unknown mode 'dokcer'; did you mean 'docker'?"),
        (None, {"outcome": "good"}, "unknown outcome 'good'; known are success, agent_error"),
        (None, {"limit": 1.5}, "limit must be a whole number above zero, not 1.5"),
        (None, {"before": "noon"}, "before must be a time in unix seconds, not 'noon'"),
    ],
)
def test_what_is_no_run_is_said_in_one_line(home, name, given, where, sentence):
    with pytest.raises(SpecError) as error:
        frame(name, given, **where)
    assert sentence in error.value.message


def test_the_document_has_these_columns():
    assert DOCUMENT.read_text() == markdown(), "write it anew: python -m tools.docs"
