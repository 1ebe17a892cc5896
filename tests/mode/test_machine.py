"""Files that go to a machine by short commands, with a container for the machine."""

from __future__ import annotations

import asyncio
import io
import subprocess
import tarfile

import pytest

from ccnb.engine import connect
from ccnb.errors import CcnbError
from ccnb.mode import _machine
from tests.conftest import agent_image

pytestmark = pytest.mark.needs("docker")

UID = 1000
AS_SOON_AS_IT_MAY = "echo waiting; until [ -e /run/ccnb/go ]; do :; done; echo new >/workspace/old.txt"
SLOW_TAR = """#!/bin/sh
sleep 1
exec /bin/tar "$@"
"""


@pytest.fixture
def machine():
    """Return the id of a container that does nothing by itself."""
    engine = connect("docker")
    container = engine.api.create_container(agent_image("docker"), ["sleep", "600"])["Id"]
    engine.start(container)
    yield container
    engine.remove(container)


def executed(machine: str, *argv: str) -> list[str]:
    return ["docker", "exec", "-i", "--user", "0", machine, *argv]


def hasty(machine: str) -> subprocess.Popen:
    """Start what waits for the files as closely as it can, and changes one."""
    process = subprocess.Popen(executed(machine, "sh", "-c", AS_SOON_AS_IT_MAY), stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def runner(machine: str) -> _machine.Run:
    async def run(argv, stdin: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run, executed(machine, *argv), input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CcnbError(done.stderr)
        return done.stdout

    return run


def archive() -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name in ("ccnb", "workspace"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid = tarfile.DIRTYPE, 0o755, UID
            packed.addfile(entry)
        entry = tarfile.TarInfo("workspace/old.txt")
        entry.size, entry.uid = 4, UID
        packed.addfile(entry, io.BytesIO(b"old\n"))
    return buffer


def test_files_that_are_sent_again_before_they_are_there_come_once(machine):
    """A platform that gives no answer may still be at what it was asked for."""
    slow = "cat >/usr/local/bin/tar && chmod 755 /usr/local/bin/tar"
    subprocess.run(executed(machine, "sh", "-c", slow), input=SLOW_TAR, text=True, check=True)
    agent = hasty(machine)

    async def send_twice() -> None:
        run = runner(machine)
        async with asyncio.TaskGroup() as group:
            group.create_task(_machine.send(run, archive()))
            await asyncio.sleep(0.5)
            group.create_task(_machine.send(run, archive()))

    asyncio.run(send_twice())
    assert agent.wait(timeout=60) == 0
    found = subprocess.run(
        executed(machine, "cat", "/workspace/old.txt"), capture_output=True, text=True, check=True
    )
    assert found.stdout == "new\n"
