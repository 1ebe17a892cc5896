"""The double of the platform: strict where the platform is strict, lossy where it is lossy."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.doubles.fly.client import ROOT, TOKEN
from tests.doubles.fly.gate import Settings
from tests.doubles.fly.logs import Lines
from tests.doubles.fly.swagger import Specification
from tests.fly.test_client import CONFIG, ask
from tests.waiting import wait_for

docker = pytest.mark.needs("docker")

MACHINES = "/v1/apps/mine/machines"


def made(double, command: str, *, is_brief: bool = False, **config) -> str:
    """Make a machine that runs a shell command and return its id; wait until it runs, if it does for long."""

    async def use(client):
        process = {"exec": ["sh", "-c", command], "user": "root"}
        machine = await client.create("m", CONFIG | {"processes": [process]} | config)
        if not is_brief:
            await client.started(machine.id, 60)
        return machine.id

    return ask(double, use)


@docker
@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("state=sleeping&timeout=1", 400, "unknown state"),
        ("state=started&timeout=61", 400, "must be inside range [1s, 1m0s]"),
        ("state=stopped&timeout=1", 400, "instance_id is required"),
        ("state=destroyed&timeout=1", 408, "timeout reached"),
        ("state=started&timeout=1", 200, ""),
    ],
)
def test_a_wait_is_held_to_the_platforms_rules(double, query, status, says):
    machine = made(double, "sleep 60")
    answer = double.call("GET", f"{MACHINES}/{machine}/wait?{query}")
    assert answer.status_code == status
    assert says in answer.json().get("error", "")


@docker
def test_events_come_newest_first_without_what_is_zero(double):
    machine = made(double, "sleep 1; exit 0", is_brief=True)
    wait_for(lambda: double.report()["machines"] == {"m": "stopped"})
    events = double.call("GET", f"{MACHINES}/{machine}").json()["events"]
    assert [event["type"] for event in events] == ["exit", "start", "launch"]
    times = [event["timestamp"] for event in events]
    assert times == sorted(times, reverse=True)
    assert set(events[0]["request"]["exit_event"]) == {"exited_at"}


@docker
def test_a_commands_answer_leaves_out_what_is_zero_or_empty(double):
    machine = made(double, "sleep 60")
    done = double.call("POST", f"{MACHINES}/{machine}/exec", {"command": ["true"]})
    assert (done.status_code, done.json()) == (200, {})
    assert double.call("POST", f"{MACHINES}/{machine}/exec", {"cmd": "sh -c 'exit 3'"}).json() == {
        "exit_code": 3
    }


@docker
def test_a_machine_that_destroyed_itself_is_not_found(double):
    machine = made(double, "sleep 1", is_brief=True, auto_destroy=True)
    wait_for(lambda: double.report()["machines"] == {})
    assert double.call("GET", f"{MACHINES}/{machine}").status_code == 404
    assert double.call("GET", MACHINES).json() == []
    (left,) = double.call("GET", f"{MACHINES}?include_deleted=true").json()
    assert (left["id"], left["state"]) == (machine, "destroyed")


@docker
def test_a_machine_that_is_destroyed_while_it_is_made_does_not_come_back(double):
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(double.call, "POST", MACHINES, {"name": "m", "config": CONFIG})
        wait_for(lambda: double.report()["machines"])
        (machine,) = double.call("GET", MACHINES).json()
        assert double.call("DELETE", f"{MACHINES}/{machine['id']}?force=true").status_code == 200
        assert making.result().status_code == 200
    assert double.report()["machines"] == {}
    assert double.call("POST", MACHINES, {"name": "m", "config": CONFIG}).status_code == 200


@docker
@pytest.mark.parametrize("given", ["", f"Bearer {TOKEN}", TOKEN, "FlyV1 fm2_another"])
def test_a_token_under_another_scheme_than_its_own_is_refused(double, given):
    answer = httpx.get(double.url + MACHINES, headers={"authorization": given}, trust_env=False)
    assert (answer.status_code, "fly-request-id" in answer.headers) == (401, True)
    assert double.call("GET", MACHINES).status_code == 200


@docker
def test_calls_beyond_a_burst_are_refused_for_a_while_and_counted(double):
    answers = [double.call("GET", MACHINES) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert refused
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert double.report()["violations"] == ["GET machines mine"] * len(refused)


def free_port() -> int:
    """Return a port that is free, and that no process gets that asks for any."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("of a hundred ports none is free")


@docker
def test_it_listens_where_it_is_told_and_says_so():
    port = free_port()
    command = [sys.executable, "-m", "tests.doubles.fly", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"http://127.0.0.1:{port}\n"
        assert httpx.get(f"http://127.0.0.1:{port}/_double", trust_env=False).json()["created"] == []
        process.terminate()


# Its log


def printed(count: int, line: str = "{}", **settings) -> Lines:
    """Return the log of a machine that has printed numbered lines."""
    lines = Lines()
    for number in range(count):
        lines.take("m", "arn", line.format(number), Settings(**settings))
    return lines


def messages(page: dict) -> list[str]:
    return [entry["attributes"]["message"] for entry in page["data"]]


def all_of(lines: Lines) -> list[str]:
    """Return all that a log gives, page by page from its beginning."""
    found, token = [], "1"
    while (page := lines.page(token, None))["data"]:
        found += messages(page)
        token = page["meta"]["next_token"]
    return found


def test_a_page_of_the_log_has_the_latest_hundred_lines():
    assert messages(printed(250).page("", None)) == [str(n) for n in range(150, 250)]


def test_the_log_can_be_read_on_from_a_page():
    assert all_of(printed(250)) == [str(n) for n in range(250)]


def test_the_log_has_other_machines_lines_too_unless_one_is_named():
    lines = printed(2)
    lines.take("other", "arn", "theirs", Settings())
    assert messages(lines.page("", None)) == ["0", "1", "theirs"]
    assert messages(lines.page("", "m")) == ["0", "1"]


def test_the_log_loses_lines():
    kept = all_of(printed(1000, drop=0.3))
    assert 600 < len(kept) == len(set(kept)) < 800


def test_the_log_repeats_lines():
    kept = all_of(printed(1000, repeat=0.1))
    assert 1050 < len(kept) < 1150
    assert set(kept) == {str(n) for n in range(1000)}


def test_the_log_splits_lines():
    assert all_of(printed(1, "abcdefgh", split=3)) == ["abc", "def", "gh"]


def test_the_log_delays_lines():
    lines = printed(100, delay_s=3.0)
    assert len(all_of(lines)) < 100
    wait_for(lambda: len(all_of(lines)) == 100)


# What it holds calls to

SPECIFICATION = {
    "paths": {
        "/apps/{app}/machines": {
            "post": {
                "parameters": [{"in": "body", "schema": {"$ref": "#/definitions/CreateRequest"}}],
                "responses": {"200": {"schema": {"$ref": "#/definitions/Machine"}}},
            }
        }
    },
    "definitions": {
        "CreateRequest": {"type": "object", "properties": {"name": {"type": "string"}}},
        "Machine": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}


@pytest.mark.parametrize(
    ("query", "body", "status", "answer", "fault"),
    [
        ("", b'{"name": "m"}', 200, b'{"id": "1"}', None),
        ("", b'{"name": 1}', 200, b'{"id": "1"}', "request: name 1 is not of type 'string'"),
        ("", b'{"nmae": "m"}', 200, b'{"id": "1"}', "request: unknown ['nmae']"),
        ("", b'{"name": "m"}', 200, b'{"id": 1}', "answer: id 1 is not of type 'string'"),
        ("", b'{"name": "m"}', 201, b'{"id": "1"}', "no such status"),
        ("colour=red", b'{"name": "m"}', 200, b'{"id": "1"}', "query colour"),
    ],
)
def test_calls_and_answers_are_held_to_the_specification(query, body, status, answer, fault):
    specification = Specification(SPECIFICATION)
    specification.check("POST", "/v1/apps/mine/machines", query, body, status, answer)
    assert [found.partition(f"{status}")[2].strip(" :") for found in specification.faults] == (
        [fault] if fault else []
    )
