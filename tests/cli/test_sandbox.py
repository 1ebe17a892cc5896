"""`ccnb sandbox`, on the double of Docker's sandboxes."""

from __future__ import annotations

import json

import pytest

from ccnb.store import Store

pytestmark = pytest.mark.needs("docker")


@pytest.fixture
def kept(cli, home, sandboxes, task):
    """Return the run and the name of a sandbox that was kept; there is one of somebody else's too."""
    sandboxes.use("sbx")
    sandboxes.call("create", "--name", "mine", "claude", str(home))
    cli(*task("sandbox", "init; result", "-q", "--keep"), "Write a file")
    (row,) = Store(home).runs()
    return row.run_id, Store(home).place(row.run_id)["id"]


def test_those_of_the_stores_runs_are_listed_and_removed(cli, sandboxes, kept):
    run_id, name = kept
    assert [(s["run_id"], s["name"], s["run"]) for s in json.loads(cli("sandbox", "ls", "--json").out)] == [
        (run_id, name, "success")
    ]
    shown = cli("sandbox", "ls").out
    assert name in shown
    assert "mine" not in shown
    assert cli("sandbox", "rm", "mine").code == 2
    done = cli("sandbox", "rm", run_id)
    assert (done.code, done.out) == (0, f"removed {name} of run {run_id}\n")
    assert cli("sandbox", "ls").out == "no run of this store has a sandbox\n"
    assert "mine" in sandboxes.names


def test_one_can_look_into_a_kept_one(terminal, kept):
    shell = terminal("shell", kept[0])
    shell.press("echo in-$((40+2)); id -un\n")
    shell.wait_for("in-42")
    shell.wait_for("agent")
    shell.press("exit\n")
    assert shell.end() == 0


def test_all_of_them_means_all_of_this_store(cli, sandboxes, kept):
    assert cli("sandbox", "rm").code == 2
    assert cli("sandbox", "rm", "--all").code == 0
    assert sandboxes.names[0] == "mine"
    assert len(sandboxes.names) == 2
