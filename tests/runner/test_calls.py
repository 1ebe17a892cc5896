"""The gateway's lines become a run's calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ccnb.results import RunRecord
from ccnb.runner import calls
from ccnb.spec import RunSpec
from ccnb.store import Progress, RunFolder, Store

AT = "2026-11-24T10:00:00+00:00"


def line(request="a", status=200, end="complete", **more):
    return {"at": AT, "model": "m", "request": request, "status": status, "end": end, "stream": True, **more}


@pytest.fixture
def folder(tmp_path):
    def make(*lines):
        texts = [text if isinstance(text, str) else json.dumps(text) for text in lines]
        (tmp_path / "calls.jsonl").write_text("\n".join(texts) + "\n")
        return RunFolder(tmp_path)

    return make


def retries(folder):
    return [call["retries"] for call in calls.read(folder)]


def test_without_the_gateway_there_are_none(tmp_path):
    assert calls.read(RunFolder(tmp_path)) == []


def test_a_retry_is_the_same_request_after_a_failure(folder):
    assert retries(folder(line(status=529), line(status=429), line(), line())) == [0, 1, 2, 0]
    assert retries(folder(line(end="cut"), line(), line("b"))) == [0, 1, 0]


def test_failures_of_another_request_in_between_are_another_matter(folder):
    assert retries(folder(line("a", 529), line("b", 529), line("a"), line("b"))) == [0, 0, 1, 1]


def test_what_is_no_line_is_passed_over(folder):
    assert len(calls.read(folder("{", "[]", "{}", line()))) == 1


def test_models_without_a_price_are_those_that_used_tokens_and_cost_nobody_knows_what(folder):
    found = calls.read(
        folder(
            line(model="known", output_tokens=3, cost_usd=0.1),
            line(model="free", output_tokens=3, cost_usd=0.0),
            line(model="new", output_tokens=3, cost_usd=None),
            line(model="new", output_tokens=5, cost_usd=None),
            line(model="overloaded", status=529, output_tokens=None, cost_usd=None),
        )
    )
    assert calls.unpriced(found) == ["new"]


def test_times_are_aware(folder):
    assert calls.read(folder(line()))[0]["at"] == datetime(2026, 11, 24, 10, tzinfo=UTC)


class TestTheTable:
    @pytest.fixture
    def store(self, tmp_path):
        store = Store(tmp_path)
        store.add_run("r1", RunSpec(prompt="x", mode="local"), Progress())
        yield store
        store.close()

    def finish(self, store, found):
        spec = RunSpec(prompt="x", mode="local")
        record = RunRecord(
            run_id="r1", mode="local", spec=spec, outcome="success", started_at=datetime.now(UTC)
        )
        store.finish(record, Progress(), found)

    def test_it_gives_back_what_was_read_however_often_it_is_filled(self, store, folder):
        found = calls.read(folder(line(status=529, refused="budget"), line(cost_usd=0.5, input_tokens=3)))
        for _ in range(2):
            self.finish(store, found)
        kept = store.calls("r1")
        assert [call["retries"] for call in kept] == [0, 1]
        for before, after in zip(found, kept, strict=True):
            assert {name: after[name] for name in before} == before
        assert (kept[1]["cost_usd"], kept[1]["input_tokens"], kept[0]["refused"]) == (0.5, 3, "budget")

    def test_an_odd_model_can_be_stored(self, store, folder):
        self.finish(store, calls.read(folder(line(model="\ud800"))))
        assert store.calls("r1")[0]["model"] == "?"

    def test_they_go_with_their_run(self, store, folder):
        self.finish(store, calls.read(folder(line())))
        store.remove("r1")
        assert store.calls("r1") == []
        assert store.query("SELECT count(*) FROM calls") == [(0,)]
