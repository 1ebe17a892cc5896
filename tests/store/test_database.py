"""The SQLite file: each event once, whoever is killed and whoever else writes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.errors import RunNotFoundError, StoreError
from ccnb.events import Usage
from ccnb.redact import Redactor, Secret
from ccnb.results import RunRecord
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store
from ccnb.stream import parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = RunSpec(prompt="x")
HEAD = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from ccnb.redact import Redactor
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store
from ccnb.stream import parse

def lines(first, many):
    line = b'{"type":"user","n":%7d}'
    parsed = [
        parse(line % n, offset=n * 26, arrived_at=datetime.now(UTC), redactor=Redactor())
        for n in range(first, first + many)
    ]
    return parsed, (first + many) * 26

store = Store(Path(sys.argv[1]))
run_id = sys.argv[2]
"""

PEAK = """
def grown_to():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

"""
"""The most memory that the child has had, in kB."""


@pytest.fixture
def store(home):
    (home / "runs").mkdir()
    store = Store(home)
    yield store
    store.close()


def add(store, run_id="r1", spec=SPEC):
    store.add_run(run_id, spec, Progress())
    return run_id


def event(line, offset=0):
    parsed = parse(line, offset=offset, arrived_at=NOW, redactor=Redactor())
    assert parsed is not None
    return parsed


def numbered(first, last):
    return [event(b'{"type":"user","n":%d}' % n, offset=n * 10) for n in range(first, last)]


def record_of(run_id="r1", outcome="success"):
    return RunRecord(
        run_id=run_id,
        mode="docker",
        spec=SPEC,
        outcome=outcome,
        started_at=NOW,
        usage=Usage(1, 2, 3, 4),
        text="Done.",
    )


def child(store, script, run_id):
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script, str(store.home), run_id], stdout=subprocess.PIPE, text=True
    )


# Runs


def test_a_run_is_there_from_its_first_word_to_its_end(store):
    add(store)
    row = store.run("r1")
    assert (row.state, row.outcome, row.offset, row.digest, row.record) == ("preparing", None, 0, b"", None)
    assert row.spec == SPEC
    progress = Progress(marks={"begin": 1.5}, baseline="tree", warnings=["w"], attempted=True, archive=True)
    store.set_state("r1", "running", progress)
    assert (store.run("r1").state, store.run("r1").progress) == ("running", progress)
    store.finish(record_of(), progress)
    row = store.run("r1")
    assert (row.state, row.outcome, row.record) == ("done", "success", record_of())
    assert row.ended_at is not None
    later = record_of(outcome="success")
    store.update_record(later)
    assert store.run("r1").record == later


def test_progress_of_an_older_or_newer_version_loads():
    assert Progress.from_dict({}) == Progress()
    assert Progress.from_dict({"baseline": "b", "from_the_future": 1}) == Progress(baseline="b")


def test_no_secret_of_the_environment_is_in_any_file_of_the_store(store):
    add(store, spec=RunSpec(prompt="x", env={"TOKEN": Secret("hunter2-hunter2"), "PLAIN": "here-it-is"}))
    files = [path for path in store.home.rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert b"hunter2" not in content
    assert b"here-it-is" in content
    assert store.run("r1").spec.env["TOKEN"].is_withheld


@pytest.mark.parametrize("part", ["260101-120000-abcde", "abcde", "260101", "120000-a", "1-1"])
def test_a_run_is_found_by_any_part_that_only_it_has(store, part):
    add(store, "260101-120000-abcde")
    add(store, "250202-120001-fghjk")
    assert store.run(part).run_id == "260101-120000-abcde"


@pytest.mark.parametrize("part", ["", "1200", "nothing", "%", "_", "abcd_", "%abc%", "'"])
def test_a_part_that_none_or_several_have_finds_none(store, part):
    add(store, "260101-120000-abcde")
    add(store, "250202-120001-fghjk")
    with pytest.raises(RunNotFoundError, match="ccnb runs"):
        store.run(part)


@pytest.mark.parametrize("part", ["%", "_", ""])
def test_even_the_only_run_is_not_found_by_a_pattern(store, part):
    add(store)
    with pytest.raises(RunNotFoundError):
        store.run(part)


def test_a_whole_id_wins_over_a_part_of_another(store):
    add(store, "abc")
    add(store, "abcd")
    assert store.run("abc").run_id == "abc"


def test_runs_are_listed_the_latest_first_and_by_what_is_asked_for(store):
    other = RunSpec(prompt="other", mode="podman")
    add(store, "r1")
    between = time.time()
    add(store, "r2", other)
    add(store, "r3")
    store.finish(record_of("r1"), Progress())
    assert [row.run_id for row in store.runs()] == ["r3", "r2", "r1"]
    assert [row.run_id for row in store.runs(limit=2)] == ["r3", "r2"]
    assert [row.run_id for row in store.runs(state="done")] == ["r1"]
    assert [row.run_id for row in store.runs(outcome="success")] == ["r1"]
    assert [row.run_id for row in store.runs(mode="podman")] == ["r2"]
    assert [row.run_id for row in store.runs(fingerprint=SPEC.fingerprint())] == ["r3", "r1"]
    assert [row.run_id for row in store.runs(fingerprint=SPEC.fingerprint(), state="done")] == ["r1"]
    assert [row.run_id for row in store.runs(before=between)] == ["r1"]


def test_a_run_that_is_removed_takes_its_events_place_and_folder_along(store):
    add(store)
    add(store, "r2")
    store.folder("r1").make()
    store.append("r1", numbered(0, 3), 30, b"d")
    store.append("r2", numbered(0, 2), 20, b"d")
    store.add_place("r1", "docker", {"id": "c"})
    store.remove("r1")
    assert [row.run_id for row in store.runs()] == ["r2"]
    assert not store.folder("r1").path.exists()
    assert (store.count_events("r1"), store.count_events("r2")) == (0, 2)
    assert store.place("r1") is None
    with pytest.raises(RunNotFoundError):
        store.append("r1", numbered(3, 4), 40, b"d")
    with pytest.raises(RunNotFoundError):
        store.add_place("r1", "docker", {})


def test_an_id_is_used_once(store):
    add(store)
    with pytest.raises(StoreError):
        add(store)


# Places


def test_a_place_is_remembered_until_it_is_removed(store):
    add(store)
    assert store.place("r1") is None
    store.add_place("r1", "docker", {"id": "one"})
    store.add_place("r1", "docker", {"id": "two", "deep": {"a": [1]}})
    assert store.place("r1") == {"id": "two", "deep": {"a": [1]}}
    store.set_place_removed("r1")
    assert store.place("r1") is None
    store.add_place("r1", "docker", {"id": "three"})
    assert store.place("r1") == {"id": "three"}


# Events


def test_events_come_back_in_order_and_as_they_were(store):
    add(store)
    events = numbered(0, 1203)
    store.append("r1", events[:700], 7000, b"d1")
    store.append("r1", events[700:], 12030, b"d2")
    assert list(store.events("r1")) == [event for event, _ in events]
    assert store.count_events("r1") == 1203
    assert (store.run("r1").offset, store.run("r1").digest) == (12030, b"d2")


@given(after=st.integers(-1, 150), skip=st.integers(0, 150), limit=st.integers(-1, 150))
def test_any_part_of_the_events_can_be_asked_for(shared_store, after, skip, limit):
    expected = [n for n in range(120) if n * 10 > after][skip:]
    expected = expected if limit < 0 else expected[:limit]
    got = [e.raw["n"] for e in shared_store.events("r1", after=after, limit=limit, skip=skip)]
    assert got == expected


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("home"))
    add(store)
    store.append("r1", numbered(0, 120), 1200, b"d")
    yield store
    store.close()


def test_an_event_that_is_there_is_not_added_again_and_nothing_of_its_batch_is(store):
    add(store)
    store.append("r1", numbered(0, 3), 30, b"d1")
    with pytest.raises(StoreError):
        store.append("r1", [*numbered(5, 7), *numbered(2, 3)], 70, b"d2")
    assert [e.raw["n"] for e in store.events("r1")] == [0, 1, 2]
    assert (store.run("r1").offset, store.run("r1").digest) == (30, b"d1")
    store.append("r1", numbered(3, 4), 40, b"d3")  # it goes on as if nothing had been
    assert store.count_events("r1") == 4


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_survive_the_store(shared_store, data):
    data = data.translate(None, b"\n")
    parsed = parse(data, offset=0, arrived_at=NOW, redactor=Redactor())
    if parsed is None:
        return
    run_id = f"bytes-{data.hex()}-{shared_store.count_events('r1')}-{os.urandom(6).hex()}"
    add(shared_store, run_id)
    shared_store.append(run_id, [parsed], len(data), b"")
    (back,) = shared_store.events(run_id)
    assert back == parsed[0]
    if back.type == "unparsed":
        assert back.text.encode(errors="surrogateescape") == data


def test_bytes_that_are_no_utf8_survive_wherever_a_message_has_them(store):
    add(store)
    lines = [
        b'{"type":"assistant","message":{"id":"m\xff","content":[{"type":"tool_use","id":"\xfe","name":"\xfd","input":{"\xfc":"\xfb"}}]},"parent_tool_use_id":"\xfa"}',
        b'{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"\xfe","content":"\xff\xfe"}]}}',
        b'{"type":"sys\xfftem","subtype":"permission_denied","tool_name":"\\ud800"}',
        b"\xff\xfe\x00 no json",
    ]
    events = [event(line, offset=n) for n, line in enumerate(lines)]
    store.append("r1", events, 400, b"")
    assert list(store.events("r1")) == [e for e, _ in events]
    for back, line in zip(store.events("r1"), lines[:2], strict=False):
        assert (
            json.dumps(back.raw, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")
            == line
        )


def test_a_line_of_ten_megabytes_is_stored(store):
    add(store)
    long = event(json.dumps({"type": "user", "text": "x" * 10_000_000}).encode())
    store.append("r1", [long], 10_000_030, b"")
    (back,) = store.events("r1")
    assert back == long[0]


def test_a_long_line_costs_those_no_memory_who_look_at_other_runs(store):
    for run_id in ("before", "long", "after"):
        add(store, run_id)
    line = json.dumps({"type": "user", "text": "x" * 10_000_000}).encode()
    store.append("long", [event(line)], len(line), b"")
    script = """
assert not list(store.events("none"))
before = grown_to()
for run_id in ("before", "after"):
    assert not list(store.events(run_id))
    assert store.count_events(run_id) == 0
print(grown_to() - before)
"""
    told = child(store, PEAK + script, "long").communicate(timeout=60)[0]
    assert int(told) < 2_000


def test_any_tool_that_reads_sqlite_can_ask_for_tools_and_errors(store):
    add(store)
    lines = [
        b'{"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"Bash"}]},"parent_tool_use_id":"p"}',
        b'{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","is_error":true}]}}',
        b'{"type":"system","subtype":"permission_denied","tool_name":"Edit"}',
        b'{"type":"result","subtype":"success","is_error":false,"timestamp":"2026-01-01T00:00:05Z"}',
    ]
    store.append("r1", [event(line, offset=n) for n, line in enumerate(lines)], 300, b"")
    with sqlite3.connect(store.home / "ccnb.sqlite3") as db:
        rows = db.execute(
            "SELECT type, subtype, message_id, parent_tool_use_id, tool_use_id, tool_name, is_error,"
            " at - arrived_at FROM events ORDER BY offset"
        ).fetchall()
    assert rows == [
        ("assistant", None, "m1", "p", "t1", "Bash", None, 0),
        ("user", None, None, None, "t1", None, 1, 0),
        ("system", "permission_denied", None, None, None, "Edit", None, 0),
        ("result", "success", None, None, None, None, 0, 5),
    ]


# Several at once, and death


def test_events_and_offset_agree_whenever_the_writer_is_killed(store):
    for number in range(3):
        run_id = add(store, f"r{number}")
        writer = child(
            store,
            """
n = 0
while True:
    events, offset = lines(n, 7)
    store.append(run_id, events, offset, b"")
    n += 7
    if n == 70:
        print("going", flush=True)
""",
            run_id,
        )
        assert writer.stdout.readline() == "going\n"
        threading.Event().wait(0.003 * number)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        row = store.run(run_id)
        numbers = [e.raw["n"] for e in store.events(run_id)]
        assert len(numbers) >= 70
        assert numbers == list(range(len(numbers)))
        assert row.offset == len(numbers) * 26


def test_two_processes_write_two_runs_at_once_and_the_file_may_be_new(home):
    store = Store(home)  # not opened yet: the children race for the tables too
    script = """
store.add_run(run_id, RunSpec(prompt="x"), Progress())
for n in range(0, 600, 3):
    events, offset = lines(n, 3)
    store.append(run_id, events, offset, run_id.encode())
"""
    writers = [child(store, script, run_id) for run_id in ("r1", "r2", "r3")]
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    for run_id in ("r1", "r2", "r3"):
        assert [e.raw["n"] for e in store.events(run_id)] == list(range(600))
        assert (store.run(run_id).offset, store.run(run_id).digest) == (600 * 26, run_id.encode())


def test_threads_share_a_store(store):
    failures = []

    def write(run_id):
        try:
            add(store, run_id)
            for n in range(20):
                store.append(run_id, numbered(n, n + 1), n, b"")
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [store.count_events(f"r{n}") for n in range(4)] == [20] * 4


def test_who_reads_sees_no_half_of_a_batch(store):
    add(store)
    writer = child(
        store,
        """
for n in range(0, 1500, 5):
    events, offset = lines(n, 5)
    store.append(run_id, events, offset, b"")
""",
        "r1",
    )
    seen = set()
    while writer.poll() is None:
        seen.add(store.count_events("r1") % 5)
    assert writer.returncode == 0
    assert seen == {0}


# The files


def test_only_the_user_can_read_the_files(store):
    old = os.umask(0)
    try:
        add(store)
        store.append("r1", numbered(0, 1), 10, b"")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.home.glob("ccnb.sqlite3*")}
    finally:
        os.umask(old)
    assert "ccnb.sqlite3" in modes
    assert set(modes.values()) == {0o600}


def test_a_file_that_is_no_store_is_told_and_left_as_it_is(tmp_path):
    file = tmp_path / "ccnb.sqlite3"
    file.write_bytes(b"my diary, in a long file of my own" * 100)
    with pytest.raises(StoreError, match=r"ccnb\.sqlite3.*CCNB_HOME"):
        Store(tmp_path).runs()
    assert file.read_bytes().startswith(b"my diary")


def test_a_home_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StoreError, match="CCNB_HOME"):
        Store(tmp_path / "nowhere").runs()


def test_a_store_that_was_damaged_is_told_by_reading_too(store):
    add(store)
    store.append("r1", numbered(0, 2000), 20_000, b"")
    store.close()
    file = store.home / "ccnb.sqlite3"
    for extra in store.home.glob("ccnb.sqlite3-*"):
        extra.unlink()
    page = 4096
    file.write_bytes(file.read_bytes()[:page] + b"\xff" * 20 * page)
    for look in (
        store.runs,
        lambda: store.count_events("r1"),
        lambda: list(store.events("r1")),
        lambda: store.place("r1"),
    ):
        with pytest.raises(StoreError, match="mend it"):
            look()
