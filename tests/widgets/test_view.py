"""What a page is told of runs: by the widget's own messages, as a front end gets them."""

from __future__ import annotations

import json
import threading
import time

import pytest

import ccnb
from ccnb.gateway.prices import cost_usd
from ccnb.render import money
from ccnb.spec import RunSpec
from ccnb.store import Progress, Store
from ccnb.widgets.rate import BURST_BYTES, BYTES_PER_S, Allowance
from ccnb.widgets.view import RunView
from tests.kept import answer, keep_run, use, words
from tests.waiting import wait_for


class Page(RunView):
    """A view that keeps what it sends, as a page gets it."""

    def __init__(self, *runs):
        self.got = []
        super().__init__(runs)

    def send(self, content, buffers=None):
        self.got.append(json.loads(json.dumps(content)))

    def ask(self, kind, **more):
        before = len(self.got)
        self._handle_custom_msg({"kind": kind, **more}, [])
        return self.got[before:]

    def wait(self):
        until = time.monotonic() + 30
        while self._thread is not None:
            assert time.monotonic() < until
            time.sleep(0.02)

    @property
    def bytes(self):
        return sum(len(json.dumps(message)) for message in self.got)


@pytest.fixture
def finished(home):
    """Return a run that has ended, with a conversation."""
    (home / "runs").mkdir(exist_ok=True)
    events = [(1, words("First.")), (2, use("1", "Bash", command="ls")), (3, answer("1", "a\nb"))]
    keep_run(Store(home), "r1", events=events)
    return ccnb.attach("r1")


def test_a_page_that_asks_is_told_the_whole_again_and_again(finished):
    page = Page(finished)
    page.wait()
    for _ in range(2):
        (told,) = page.ask("ready")
        (row,) = told["rows"]
        assert told["kind"] == "all"
        assert (row["run"], row["word"], row["over"]) == ("r1", "success, check passed", True)
        assert row["counted"] == "3 turns · 5,230 tokens · $0.0123"
        assert row["lines"][-1].endswith("▸ Bash ls")
        assert ["model", 3.0] in [phase[:2] for phase in row["phases"]]


def test_a_run_that_works_tells_its_tool_and_what_it_has_taken_so_far(home, agent):
    call = use("1", "Bash", command="make")
    usage = {"input_tokens": 1_000, "output_tokens": 200}
    call["message"] |= {"model": "claude-opus-5-5", "usage": usage}
    run = ccnb.start("Go.", **agent("local", f"init; echo '{json.dumps(call)}'; sleep 60"))
    page = Page(run)

    def at_work():
        return [row for told in list(page.got) for row in told["rows"] if row.get("doing") == "Bash make"]

    wait_for(at_work)
    row = at_work()[0]
    run.cancel()
    usd = cost_usd("claude-opus-5-5", usage)
    assert (row["word"], row["over"]) == ("running", False)
    assert row["counted"] == f"1 turn · 1,200 tokens · ≈ {money(usd)}"
    page.wait()


def test_the_conversation_is_sent_when_it_is_unfolded(finished):
    page = Page(finished)
    page.wait()
    assert "items" not in page.ask("ready")[0]["rows"][0]
    (told,) = page.ask("open", run="r1", open=True)
    assert [item["kind"] for item in told["rows"][0]["items"]] == ["text", "tool", "result"]
    assert page.unfolded == {"r1"}
    (told,) = page.ask("page", run="r1", before=1)
    assert [item["kind"] for item in told["rows"][0]["items"]] == ["text"]
    assert (told["rows"][0]["first"], told["rows"][0]["end"]) == (0, 1)


@pytest.mark.parametrize(
    "content", [None, [], {"kind": "page", "run": "r1", "before": "x"}, {"kind": "stop"}, {"kind": 3}]
)
def test_a_strange_message_does_no_harm(finished, content):
    page = Page(finished)
    page._handle_custom_msg(content, [])
    assert page.ask("ready")


def test_where_there_are_no_widgets_it_is_text_and_html(finished):
    page = Page(finished)
    page.wait()
    data, _ = page._repr_mimebundle_()
    assert data["text/plain"].startswith("docker: success, check passed · 6.00 s · 3 turns")
    assert "<div>" in data["text/html"]
    assert "First." in data["text/html"]


def test_nothing_of_a_run_is_in_the_traits(finished):
    page = Page(finished)
    page.wait()
    page.ask("open", run="r1", open=True)
    state = {name: value for name, value in page.get_state().items() if name not in ("_esm", "_css")}
    assert "First." not in str(state)
    assert "r1" not in str(state)


def test_stop_ends_the_run(home, agent):
    run = ccnb.start("Go.", **agent("local", "init; say begun; sleep 60"))
    page = Page(run)
    while not any("begun" in str(message) for message in list(page.got)):
        time.sleep(0.05)
    page.ask("stop", run=run.run_id)
    assert run.result().outcome == "cancelled"
    page.wait()
    assert page.got[-1]["rows"][0]["word"] == "cancelled"


def test_an_allowance_saves_up_to_its_burst():
    now = [0.0]
    allowance = Allowance(lambda: now[0])
    allowance.take(BURST_BYTES + 1_000)
    assert allowance.left == -1_000
    now[0] = 1.0
    assert allowance.left == BYTES_PER_S - 1_000
    now[0] = 1e6
    assert allowance.left == BURST_BYTES


@pytest.mark.parametrize("unfolded", [False, True])
@pytest.mark.parametrize(("count", "events"), [(2, 25_000), (8, 5_000)])
def test_a_flood_of_events_is_a_trickle_to_the_page(home, count, events, unfolded):
    """Runs write many events each in a few seconds; the traffic is bounded all the same.

    However many there are, what is new of them goes in one message, ten times a second at most.
    """
    store = Store(home)
    runs = [_begun(store, f"f{n}") for n in range(count)]
    page = Page(*runs)
    for run in runs:
        page.ask("open", run=run.run_id, open=unfolded)
    began = time.monotonic()
    writers = [threading.Thread(target=_flood, args=(home, run.run_id, events)) for run in runs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    _told_all(page, events)
    took_s = time.monotonic() - began
    assert page.bytes < count * (BURST_BYTES + 80_000 + took_s * BYTES_PER_S)
    assert page.bytes < 500_000 * count
    news = [message["rows"] for message in page.got if message["kind"] == "more"]
    assert len(news) <= took_s / 0.1 + 3
    assert max(len(rows) for rows in news) > 1
    assert [store.count_events(run.run_id) for run in runs] == [events] * count


def _told_all(page, count):
    until = time.monotonic() + 60
    while not all(page.story(row.story.run).count == count for row in page._rows.values()):
        assert time.monotonic() < until
        time.sleep(0.1)


def _begun(store, run_id):
    """Return a run that somebody else follows, by the lock that is held."""
    from ccnb.store import FollowerLock

    store.folder(run_id).make()
    store.add_run(run_id, RunSpec(prompt="Go.", mode="local"), Progress(marks={"begin": time.time()}))
    lock = FollowerLock(store.folder(run_id))
    lock.acquire()
    return ccnb.attach(run_id)


def _flood(home, run_id, count):
    from datetime import UTC, datetime

    from ccnb.events import Event

    store, step = Store(home), 500
    for first in range(0, count, step):
        rows = []
        for number in range(first, first + step):
            raw = words(f"Line {number} of the agent, with some more words to it.")
            rows.append((Event("assistant", None, datetime.now(UTC), 200 * number, raw), json.dumps(raw)))
        store.append(run_id, rows, 200 * (first + step), b"")
        time.sleep(0.05)
