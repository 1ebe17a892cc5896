"""Records: what they say, and that they survive being written down."""

from __future__ import annotations

import dataclasses
import json
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.events import Usage
from ccnb.results import (
    OUTCOMES,
    PHASES,
    STATES,
    CheckResult,
    Connection,
    ErrorInfo,
    FileChange,
    NetworkUse,
    RunRecord,
    Timings,
)
from ccnb.spec import RunSpec

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts)
seconds = st.floats(0, 1e6)
texts = st.text(max_size=20)
timings = st.builds(
    Timings,
    **dict.fromkeys(PHASES, seconds),
    cleanup_s=st.none() | seconds,
    model_s=seconds,
    tools_s=seconds,
)
records = st.builds(
    RunRecord,
    run_id=texts,
    mode=texts,
    spec=st.just(RunSpec(prompt="x", env={"A": "1"})),
    outcome=st.sampled_from(OUTCOMES),
    started_at=st.datetimes(timezones=st.just(UTC)),
    text=texts,
    usage=usages,
    timings=timings,
    files=st.lists(
        st.builds(FileChange, texts, st.sampled_from(["made", "changed", "removed"]), counts, st.booleans()),
        max_size=3,
    ).map(tuple),
    check=st.none() | st.builds(CheckResult, texts, st.integers(0, 255), texts),
    exit_code=st.none() | st.integers(0, 255),
    error=st.none() | st.builds(ErrorInfo, texts, texts, texts, st.none() | st.integers(400, 599)),
    session_id=st.none() | texts,
    num_turns=counts,
    total_cost_usd=seconds,
    network_use=st.none() | st.builds(NetworkUse, counts, counts, st.lists(texts, max_size=3).map(tuple)),
    denials=st.lists(texts, max_size=3).map(tuple),
    warnings=st.lists(texts, max_size=3).map(tuple),
    conditions=st.dictionaries(texts, st.none() | texts | counts, max_size=3),
)


@given(records)
def test_a_record_comes_back_from_json_and_from_a_pickle(record):
    assert RunRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert pickle.loads(pickle.dumps(record)) == record


def test_what_an_older_version_wrote_loads_with_what_it_had():
    data = {
        "run_id": "r",
        "mode": "docker",
        "spec": {"prompt": "x"},
        "outcome": "success",
        "started_at": "2026-01-02T03:04:05+00:00",
    }
    record = RunRecord.from_dict(data)
    assert (record.usage, record.timings, record.files, record.check, record.error) == (
        Usage(),
        Timings(),
        (),
        None,
        None,
    )
    assert record.text == ""
    assert not record.is_error


@given(records)
def test_what_a_newer_version_wrote_loads_without_what_we_do_not_know(record):
    data = record.to_dict() | {"version": 99, "colour": "green"}
    for name in ("spec", "usage", "timings", "check", "error", "network_use"):
        if data[name] is not None:
            data[name] = data[name] | {"colour": "green"}
    data["files"] = [file | {"colour": "green"} for file in data["files"]]
    assert RunRecord.from_dict(data) == record


def test_connections_are_summed_up_with_the_hosts_that_were_refused_once_each():
    allowed = Connection(NOW, "a.org", 443, allowed=True, reason="open")
    refused = [Connection(NOW, f"h{n % 10}.org", 80, allowed=False, reason="not listed") for n in range(25)]
    use = NetworkUse.of([allowed, *refused])
    assert (use.allowed, use.refused) == (1, 25)
    assert use.refused_hosts == tuple(f"h{n}.org:80" for n in range(8))
    often = [dataclasses.replace(connection, count=3) for connection in (allowed, *refused)]
    use = NetworkUse.of(often)
    assert (use.allowed, use.refused) == (3, 75)
    assert use.refused_hosts == tuple(f"h{n}.org:80" for n in range(8))


@given(timings)
def test_the_phases_sum_to_the_wall_time(timings):
    assert timings.wall_s == pytest.approx(sum(getattr(timings, phase) for phase in PHASES))


def test_cleanup_model_and_tools_are_no_phases_of_their_own():
    assert Timings(agent_s=3.0, cleanup_s=5.0, model_s=2.0, tools_s=1.0).wall_s == 3.0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_success_is_no_error(outcome):
    record = RunRecord(run_id="r", mode="m", spec=RunSpec(prompt="x"), outcome=outcome, started_at=NOW)
    assert record.is_error == (outcome != "success")


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, False), (127, False)])
def test_a_check_passes_by_its_exit_code(code, passed):
    assert CheckResult("make test", code, "").passed is passed


def test_an_error_ends_with_the_next_action():
    assert str(ErrorInfo("timeout", "too late", "raise timeout_s")) == "too late; raise timeout_s"
    assert str(ErrorInfo("odd", "too late")) == "too late"


def test_the_words_for_how_a_run_ends_and_where_it_stands_are_a_promise():
    assert OUTCOMES == (
        "success",
        "agent_error",
        "max_turns",
        "budget",
        "timeout",
        "cancelled",
        "wedged",
        "lost",
        "infrastructure",
    )
    assert STATES == ("preparing", "starting", "running", "checking", "collecting", "done")


def test_a_record_of_little_has_nothing_else_in_it():
    record = RunRecord(run_id="r", mode="m", spec=RunSpec(prompt="x"), outcome="success", started_at=NOW)
    said = record.to_dict()
    assert said.pop("spec") == RunSpec(prompt="x").to_dict()
    assert said == {
        "version": 1,
        "run_id": "r",
        "mode": "m",
        "outcome": "success",
        "started_at": "2026-01-02T03:04:05.000678+00:00",
        "text": "",
        "usage": dict.fromkeys(
            ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), 0
        ),
        "timings": dict.fromkeys(PHASES, 0.0) | {"cleanup_s": None, "model_s": 0.0, "tools_s": 0.0},
        "files": [],
        "check": None,
        "exit_code": None,
        "error": None,
        "session_id": None,
        "num_turns": 0,
        "total_cost_usd": 0.0,
        "network_use": None,
        "denials": [],
        "warnings": [],
        "conditions": {},
    }
    assert RunRecord.from_dict(record.to_dict()) == record


def test_the_parts_of_a_record_say_nothing_that_was_not_given():
    assert FileChange("a", "made") == FileChange("a", "made", size_bytes=0, runs_by_itself=False)
    assert NetworkUse() == NetworkUse.of([]) == NetworkUse.from_dict({}) == NetworkUse(0, 0, ())
    assert ErrorInfo("k", "m") == ErrorInfo("k", "m", next_action="", api_status=None)


def test_a_connection_comes_back_from_json_open_or_closed():
    still_open = Connection(NOW, "a.org", 443, allowed=True, reason="open")
    assert (still_open.bytes_up, still_open.bytes_down, still_open.duration_s) == (None, None, None)
    closed = Connection(NOW, "a.org", 443, True, "open", 10, 20, 1.5)
    for connection in (still_open, closed):
        said = json.loads(json.dumps(dataclasses.asdict(connection) | {"at": NOW.isoformat()}))
        assert Connection.from_dict(said | {"colour": "green"}) == connection


def test_what_is_written_down_does_not_change_with_what_it_was_made_of():
    record = RunRecord(
        run_id="r",
        mode="m",
        spec=RunSpec(prompt="x"),
        outcome="success",
        started_at=NOW,
        denials=("Bash",),
        warnings=("slow",),
        conditions={"model": "x"},
    )
    said = record.to_dict()
    assert (said["denials"], said["warnings"]) == (["Bash"], ["slow"])
    said["conditions"]["model"] = "y"
    assert record.conditions == {"model": "x"}
