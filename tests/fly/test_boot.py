"""The first process of a machine far away: whatever becomes of us, the machine ends by itself."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tests.fly.test_client import CONFIG, ask
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("docker")

BOOT = files("ccnb").joinpath("data", "machine", "boot.sh").read_text()
STUBBORN = """-c 'trap "" TERM; sleep 600'"""
ARRIVE = 'mkdir -p /run/ccnb && cd /run/ccnb && printf %s "$0" >command'
"""As put.sh does, which may come before the machine's first process has made the folder."""
CHANGING = "-c 'touch /workspace/made; sleep 600'"


def booting(files_limit_s: int, lifetime_s: int) -> dict:
    """Return a machine's configuration as a run has it, with other limits."""
    argv = ["sh", "-c", BOOT, "ccnb", "1000", str(files_limit_s), str(lifetime_s)]
    return CONFIG | {"processes": [{"exec": argv, "user": "root"}], "auto_destroy": True}


def log_of(double, machine_id: str) -> list[str]:
    found = double.call("GET", f"/api/v1/apps/mine/logs?instance={machine_id}").json()["data"]
    return [entry["attributes"]["message"] for entry in found]


def ending_of(double, machine_id: str):
    """Return how a machine ended that is no more."""

    async def use(client):
        found = await client.machines(deleted=True)
        return next(machine.ending for machine in found if machine.id == machine_id)

    return ask(double, use)


def test_a_machine_to_which_no_files_come_removes_itself(double):
    machine = ask(double, lambda client: client.create("m", booting(files_limit_s=1, lifetime_s=600)))
    wait_for(lambda: double.report()["machines"] == {})
    assert ending_of(double, machine.id).code == 3
    wait_for(lambda: "ccnb: no files came" in log_of(double, machine.id))


def test_a_machine_whose_supervisor_will_not_end_removes_itself_after_its_lifetime(double):
    async def use(client):
        machine = await client.create("m", booting(files_limit_s=600, lifetime_s=1))
        await client.started(machine.id, 60)
        assert (await client.exec(machine.id, ["sh", "-c", f"{ARRIVE} && touch go", STUBBORN])).code == 0
        return machine

    machine = ask(double, use)
    wait_for(lambda: double.report()["machines"] == {})
    assert ending_of(double, machine.id).code == 128 + 9
    assert "ccnb: begun" in log_of(double, machine.id)


def test_what_is_changed_at_once_is_newer_than_the_files_that_came(double):
    """The files here are dated ahead, as if the clock by which files are dated stood still for so long."""

    async def use(client):
        machine = await client.create("m", booting(files_limit_s=600, lifetime_s=600))
        await client.started(machine.id, 60)
        begin = f"{ARRIVE} && touch -d '2 seconds' new && mv new go"
        assert (await client.exec(machine.id, ["sh", "-c", begin, CHANGING])).code == 0
        look = "until [ -e /workspace/made ]; do sleep 0.1; done; find /workspace/made -cnewer /run/ccnb/go"
        return (await client.exec(machine.id, ["sh", "-c", look])).stdout

    assert ask(double, use) == "/workspace/made\n"
