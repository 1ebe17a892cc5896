"""Secrets of an app: there when a machine is made, though other processes take theirs away."""

from __future__ import annotations

import pytest

from ccnb.errors import StartError
from ccnb.mode._app_secrets import AppSecrets, secret_name
from ccnb.redact import Secret
from tests.doubles.fly.client import Double
from tests.fly.test_client import CONFIG, ask

pytestmark = pytest.mark.needs("docker")

KEY = Secret("hush-4711-hush")
NAME = secret_name(KEY)
PROCESS = {"exec": ["sleep", "60"], "user": "root", "secrets": [{"env_var": "KEY", "name": NAME}]}


@pytest.fixture
def double():
    with Double() as double:
        double.make_app("mine")
        double.forget()
        yield double


def made_while_taken(double, when: str, times: int):
    """Make a machine with a secret that somebody takes away before or after, so many times."""

    async def use(client):
        left = times

        async def take(now: str) -> None:
            nonlocal left
            if now == when and left:
                left -= 1
                await client.remove_secret(NAME)

        async def create():
            await take("before")
            machine = await client.create("m", CONFIG | {"processes": [PROCESS]})
            await take("after")
            return machine

        return await AppSecrets().with_them(client, "r1", [KEY], create)

    return ask(double, use)


def test_a_secret_is_named_by_its_hash_and_does_not_show_in_it():
    assert NAME == secret_name(Secret("hush-4711-hush")) != secret_name(Secret("hush-4712-hush"))
    assert "hush" not in NAME.lower()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_machine_whose_secret_was_taken_away_meanwhile_is_made_anew(double, when):
    machine = made_while_taken(double, when, times=1)
    report = double.report()
    assert report["machines"].keys() == {machine.name}
    assert report["secrets"]["mine"] == [NAME]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_secret_that_never_stays_is_said_and_no_machine_is_left(double, when):
    with pytest.raises(StartError, match=r"don't stay set; .*auth='env'"):
        made_while_taken(double, when, times=100)
    assert double.report()["machines"] == {}
