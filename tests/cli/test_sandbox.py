"""`ccnb sandbox`, on the double of Docker's sandboxes."""

from __future__ import annotations

import json
import os

import pytest

import ccnb
from ccnb.store import Store
from tests.waiting import wait_for

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
    assert cli("sandbox", "ls").out == "this store has no sandbox\n"
    assert "mine" in sandboxes.names


def test_a_lasting_one_is_listed_swept_past_and_removed_by_its_name(cli, home, sandboxes, task, tmp_path):
    sandboxes.use("sbx")
    run = task("sandbox", "init; result", "-q", "--sandbox", "tools", "-w", str(tmp_path))
    assert cli(*run, "Write a file").code == 0
    assert cli("sweep", "--older-than", "0s").code == 0
    ((row), *others) = json.loads(cli("sandbox", "ls", "--json").out)
    assert (row["lasting"], row["run"], row["workspace"], others) == ("tools", "free", str(tmp_path), [])
    assert "tools" in cli("sandbox", "ls").out
    done = cli("sandbox", "rm", "tools")
    assert (done.code, done.out) == (0, f"removed {row['name']}\n")
    assert sandboxes.names == []
    assert list((home / "sandboxes").iterdir()) == []


def test_one_that_a_run_is_followed_in_is_left_alone(cli, sandboxes, agent, tmp_path):
    sandboxes.use("sbx")
    run = ccnb.start(
        "Do it", sandbox="tools", workspace=str(tmp_path), **agent("sandbox", "init; sleep 60; result")
    )
    wait_for(lambda: run.state == "running" and len(run.events) == 1)
    (row,) = json.loads(cli("sandbox", "ls", "--json").out)
    assert (row["lasting"], row["run_id"], row["run"]) == ("tools", run.run_id, "running")
    done = cli("sandbox", "rm", "tools")
    assert done.code == 1
    assert done.out.startswith("left alone: a living process follows the run")
    run.cancel()
    assert run.result().outcome == "cancelled"


def test_doctor_says_what_a_machine_without_virtualisation_can_do(cli, sandboxes, tmp_path):
    sandboxes.install("sbx")
    sandboxes.call("policy", "init", "balanced")
    said = cli("doctor", "--json", CCNB_KVM=str(tmp_path / "kvm")).out
    (found,) = [mode for mode in json.loads(said)["modes"] if mode["mode"] == "sandbox"]
    assert not found["ready"]
    assert found["next_action"] == "turn virtualisation on in its firmware, or use mode docker"


def test_the_programs_get_no_terminal_and_no_input(terminal, sandboxes, tmp_path, monkeypatch):
    """Else one that asks would wait unseen, or take what was typed for what comes next."""
    said, sbx = tmp_path / "said", tmp_path / "sbx"
    sbx.write_text(
        f"#!/bin/sh\nexec 3>>{said}\n"
        'read -r line && echo "$1 read $line" >&3\n'
        '(: </dev/tty) 2>/dev/null && echo "$1 has a terminal" >&3\n'
        'if [ -t 0 ] || [ -t 1 ] || [ -t 2 ]; then echo "$1 is on a terminal" >&3; fi\n'
        'echo "$1 was called" >&3\necho \'{"sandboxes":[]}\'\n'
    )
    sbx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command = terminal("sandbox", "ls")
    command.press("typed ahead\n")
    command.wait_for("this store has no sandbox")
    assert command.end() == 0
    assert set(said.read_text().splitlines()) == {"ls was called"}


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
