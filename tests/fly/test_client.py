"""The client, on a double of the platform: each failure by its cause, nothing made twice, no limit broken."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ccnb.errors import CredentialError, ImageError, OutOfReachError, StartError
from ccnb.fly import Client, Machine, Settings
from ccnb.fly.answers import FlyError
from ccnb.fly.calls import Caller, Pace, UnclearError
from ccnb.redact import Secret
from tests.doubles import for_arm
from tests.doubles.fly.client import TOKEN

pytestmark = pytest.mark.needs("docker")

CONFIG = {
    "image": "node:22-slim",
    "processes": [{"exec": ["sh", "-c", "sleep 60"], "user": "root"}],
    "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
    "restart": {"policy": "no"},
    "metadata": {"ccnb_run": "r1"},
}


class Answering(ThreadingHTTPServer):
    """Gives the answers that a test lays down, in turn: a status and headers; `None` is silence."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.answers: list[tuple[int, dict] | None] = []
        self.asked_at: list[float] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.server.asked_at.append(time.monotonic())
        given = self.server.answers.pop(0)
        if given is None:
            self.server.over.wait()
            return
        status, headers = given
        self.send_response(status)
        for name, value in {"content-length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def answering():
    with Answering() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def settings(double, **changes) -> Settings:
    usual = Settings(
        app="mine", org="personal", token=Secret(TOKEN), machines_url=double.url, logs_url=double.url
    )
    return replace(usual, **changes)


def ask(double, use, **changes):
    """Run a coroutine of a client."""

    async def work():
        return await use(Client(settings(double, **changes)))

    return asyncio.run(work())


def test_a_machine_is_made_waited_for_asked_and_removed(double):
    async def use(client):
        machine = await client.create("m1", CONFIG)
        await client.started(machine.id, 30)
        done = await client.exec(machine.id, ["sh", "-c", "cat; echo oops >&2; exit 3"], "hello")
        assert (done.code, done.stdout, done.stderr) == (3, "hello", "oops\n")
        assert [m.id for m in await client.machines(ccnb_run="r1")] == [machine.id]
        assert await client.machines(ccnb_run="other") == []
        await client.destroy(machine.id)
        await client.destroy(machine.id)
        return await client.machine(machine.id)

    assert ask(double, use) is None
    report = double.report()
    assert report["violations"] == []
    assert report["against_specification"] in (None, [])


@pytest.mark.parametrize(
    ("changes", "config", "error", "says"),
    [
        ({"token": Secret("fm2_expired")}, {}, CredentialError, "has expired.*make a new one"),
        ({"token": Secret("fo1_somebody")}, {}, CredentialError, "was refused.*FLY_API_TOKEN"),
        ({"app": "taken"}, {}, FlyError, "another's"),
        ({"app": "nowhere"}, {}, FlyError, "run `ccnb fly setup`"),
        ({"region": "xxx"}, {}, FlyError, "no capacity.*another region"),
        ({}, {"image": for_arm.NAME}, ImageError, "for another processor.*run `ccnb fly build`"),
        ({}, {"image": "localhost:1/none:1"}, ImageError, "doesn't have the image.*run `ccnb fly build`"),
        ({}, {"guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 300}}, FlyError, "multiple of 256"),
    ],
)
def test_each_refusal_is_one_sentence_with_the_next_action(double, changes, config, error, says):
    with pytest.raises(error, match=f"(?s){says}") as caught:
        ask(double, lambda client: client.create("m", CONFIG | config), **changes)
    assert "fly-request-id" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_apps_name_that_is_taken_and_an_organisation_that_is_not_there(double):
    with pytest.raises(FlyError, match="choose another: `ccnb fly setup --app NAME`"):
        ask(double, lambda client: client.make_app(), app="taken")
    with pytest.raises(FlyError, match="ccnb fly setup --org NAME"):
        ask(double, lambda client: client.make_app(), app="new", org="unknown")
    assert ask(double, lambda client: client.app(), app="nowhere") is None


def test_a_machine_that_ends_before_it_is_up_is_told_from_one_that_runs(double):
    async def use(client):
        brief = {**CONFIG, "processes": [{"exec": ["true"], "user": "root"}]}
        machine = await client.create("m2", brief)
        while machine.state != "stopped":
            await asyncio.sleep(0.3)
            machine = await client.machine(machine.id)
        await client.started(machine.id, 20)

    with pytest.raises(StartError, match="did not come up"):
        ask(double, use)


def test_how_a_machine_ended_is_read_from_its_events(double):
    async def use(client):
        config = {**CONFIG, "processes": [{"exec": ["sh", "-c", "sleep 1; exit 9"], "user": "root"}]}
        machine = await client.create("m3", config)
        while machine.ending is None:
            await asyncio.sleep(0.3)
            machine = await client.machine(machine.id)
        return machine

    machine = ask(double, use)
    assert (machine.state, machine.ending.code, machine.ending.oom_killed) == ("stopped", 9, False)


def ended_with(**said) -> Machine:
    """Return a machine by the events that the platform has of its end, the newest first."""
    event = {"type": "exit", "request": {"MonitorEvent": {"exit_event": said}}}
    older = {"type": "exit", "request": None}
    return Machine.of({"id": "1", "state": "stopped", "events": [{"type": "x"}, event, older]})


def test_what_an_event_leaves_out_is_zero():
    machine = ended_with(oom_killed=True)
    assert (machine.ending.code, machine.ending.oom_killed) == (0, True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param({}, 0, id="both went well"),
        pytest.param({"exit_code": 9, "guest_exit_code": 9}, 9, id="they agree"),
        pytest.param({"exit_code": 1}, 0, id="the machine failed as it was torn down"),
        pytest.param({"guest_exit_code": 3}, 3, id="the machine hid its process's failure"),
        pytest.param({"exit_code": 1, "guest_exit_code": 3}, 3, id="both failed"),
        pytest.param({"exit_code": 137, "oom_killed": True}, 137, id="killed, out of memory"),
        pytest.param({"exit_code": 137, "guest_signal": 9}, 137, id="killed"),
        pytest.param({"exit_code": 1, "guest_signal": -1}, 0, id="by no signal"),
    ],
)
def test_the_process_counts_for_more_than_its_machine_unless_it_was_killed(said, code):
    assert ended_with(**said).ending.code == code


def test_with_every_fifth_call_failing_each_machine_is_made_once(double):
    async def use(client):
        await asyncio.gather(
            *(client.create(f"f{n}", CONFIG | {"metadata": {"ccnb_run": f"r{n}"}}) for n in range(6))
        )
        machines = await client.machines()
        await asyncio.gather(*(client.destroy(m.id) for m in machines))
        return [m.name for m in machines]

    double.set(faults=0.2, seed=7)
    names = ask(double, use)
    double.set(faults=0.0)
    assert sorted(names) == [f"f{n}" for n in range(6)]
    assert double.report()["machines"] == {}
    assert any(name.startswith("fault") for name in double.report()["counts"])


@pytest.mark.parametrize("behind", ["an answer that is lost", "a maker that died"])
def test_a_machine_that_was_made_before_is_taken_not_made_again(double, behind):
    async def use(client):
        if behind == "a maker that died":
            await client.create("m4", CONFIG)
        else:
            double.set(lose="POST machines")
        machine = await client.create("m4", CONFIG)
        return machine, await client.machines(ccnb_run="r1")

    machine, found = ask(double, use)
    assert [m.id for m in found] == [machine.id]
    report = double.report()
    assert report["created"] == ["m4"]
    wanted = "fault reset" if behind == "an answer that is lost" else "POST machines 409"
    assert report["counts"][wanted] == 1


def test_calls_that_come_at_once_keep_to_the_limits(double):
    async def use(client):
        await asyncio.gather(*(client.machines() for _ in range(6)))

    begun = time.monotonic()
    ask(double, use)
    assert double.report()["violations"] == []
    assert time.monotonic() - begun > 3.5


def test_a_platform_that_does_not_answer_is_out_of_reach():
    nowhere = Settings(app="mine", token=Secret(TOKEN), machines_url="http://127.0.0.1:9")

    async def work():
        await Caller(nowhere).call("GET", "http://127.0.0.1:9/", action=("a", "b"), patience_s=0.5)

    with pytest.raises(OutOfReachError, match="then attach"):
        asyncio.run(work())


def called(server, timeout_s=2.0, **how):
    """Call a server that answers as laid down, patient for a while; return the answer."""

    async def work():
        caller = Caller(Settings(token=Secret(TOKEN), machines_url=server.url), margin_s=0.0)
        return await caller.call("POST", server.url, action=("a", "b"), timeout_s=timeout_s, **how)

    return asyncio.run(work())


def test_who_is_told_when_to_come_again_waits_so_long(answering):
    answering.answers = [(429, {"retry-after": "1"}), (200, {})]
    assert called(answering, timeout_s=60, once=True) == {}
    first, second = answering.asked_at
    assert second - first >= 1


def test_those_who_must_ask_again_do_not_all_come_at_the_same_moment(answering):
    answering.answers = [(503, {})] * 10 + [(200, {})] * 10

    async def work():
        caller = Caller(Settings(token=Secret(TOKEN), machines_url=answering.url))
        names = map(str, range(10))
        calls = (caller.call("GET", answering.url, action=("get", name)) for name in names)
        return await asyncio.gather(*calls)

    assert asyncio.run(work()) == [{}] * 10
    again = answering.asked_at[10:]
    assert max(again) - min(again) > 0.05


def test_a_call_that_gets_no_answer_in_time_is_made_again(answering):
    answering.answers = [None, (200, {})]
    assert called(answering) == {}
    assert len(answering.asked_at) == 2


def test_a_call_that_must_not_be_made_twice_and_gets_no_answer_is_unclear(answering):
    answering.answers = [None]
    with pytest.raises(UnclearError, match="no clear answer"):
        called(answering, once=True)
    assert len(answering.asked_at) == 1


def test_a_pace_lets_a_burst_through_and_then_its_rate():
    async def second_s():
        pace, begun, times = Pace(1.0, 2, at_once=1), time.monotonic(), []
        for _ in range(4):
            async with pace:
                times.append(time.monotonic() - begun)
        assert times[3] >= 1.9
        return times[1]

    # One that was no part of the burst would come after a second; a busy machine can only add to it.
    assert any(asyncio.run(second_s()) < 0.9 for _ in range(5))


def test_a_pace_holds_calls_back_while_too_many_have_no_answer():
    async def work():
        pace, answered, begun = Pace(1000.0, 8, at_once=2), asyncio.Event(), []

        async def call(name):
            async with pace:
                begun.append(name)
                await answered.wait()

        calls = asyncio.gather(*(call(name) for name in "abc"))
        await asyncio.sleep(0.05)
        before = list(begun)
        answered.set()
        await calls
        return before, begun

    assert asyncio.run(work()) == (["a", "b"], ["a", "b", "c"])
