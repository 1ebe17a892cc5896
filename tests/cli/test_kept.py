"""`ccnb runs`, `show`, `shell` and `sweep`."""

from __future__ import annotations

import json
import subprocess

import pytest

from ccnb.store import Store

GOOD = "init; say 'I write.'; echo hello >made.txt; result"
SLOW = "init; say 'I begin.'; sleep 60; result"

pytestmark = pytest.mark.needs("bubblewrap")


@pytest.fixture
def run_id(cli, home, task):
    """Make a run and return its id."""
    cli(*task("local", GOOD, "-q", "--check", "true"), "Write a file")
    return Store(home).runs()[0].run_id


def test_no_runs_yet(cli):
    done = cli("runs")
    assert "no runs yet" in done.out
    assert json.loads(cli("runs", "--json").out) == []


def test_list(cli, run_id):
    done = cli("runs")
    head, _, row = done.out.splitlines()
    assert head.split() == ["run", "started", "mode", "outcome", "check", "time", "cost", "size", "prompt"]
    assert row.startswith(run_id)
    for word in ("local", "success", "passed", "$0.50", "Write a file"):
        assert word in row


def test_list_as_json(cli, run_id, task):
    cli(*task("local", GOOD, "-q"), "Write another")
    found = json.loads(cli("runs", "--json").out)
    assert [run["prompt"] for run in found] == ["Write another", "Write a file"]
    assert found[1]["run_id"] == run_id
    assert found[1]["check_passed"] is True
    assert len(json.loads(cli("runs", "--json", "--limit", "1").out)) == 1


def test_show(cli, run_id):
    done = cli("show", run_id[-5:])
    for words in ("Write a file", "I write.", "success, check passed", "+ made.txt", "agent", "█"):
        assert words in done.out


def test_show_parts(cli, run_id, tmp_path):
    kinds = [json.loads(line)["type"] for line in cli("show", run_id, "--events").out.splitlines()]
    assert kinds == ["system", "assistant", "result"]
    assert json.loads(cli("show", run_id, "--json").out)["run_id"] == run_id
    assert "made.txt" in cli("show", run_id, "--files").out
    patch = cli("show", run_id, "--patch").out
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=patch, text=True, check=True)
    assert (tmp_path / "made.txt").read_text() == "hello\n"


def test_show_a_run_that_goes_on(cli, task):
    run_id = cli(*task("local", SLOW, "--bg", "-q")).out.strip()
    done = cli("show", run_id)
    assert f"run {run_id} is running; follow it with `ccnb attach {run_id}`" in done.out
    assert json.loads(cli("show", run_id, "--json").out)["state"] == "running"
    cli("attach", "--cancel", run_id)


def test_remove(cli, home, run_id):
    done = cli("runs", "rm", run_id)
    assert done.out.startswith("1 run removed, ")
    assert "kB freed" in done.out
    assert Store(home).runs() == []
    assert list(home.glob("runs/*")) == []


def test_remove_old_ones(cli, home, run_id):
    assert cli("runs", "rm", "--older-than", "1h").out.startswith("0 runs removed")
    assert cli("runs", "rm", "--older-than", "0s").out.startswith("1 run removed")


def test_unfinished_runs_stay_unless_forced(cli, home, run_id, task, places):
    slow = cli(*task("local", SLOW, "--bg", "-q")).out.strip()
    refused = cli("runs", "rm", slow)
    assert refused.code == 2
    assert refused.err == f"error: run {slow} isn't finished; attach to it, or remove it with --force\n"
    assert cli("runs", "rm", "--all-finished").out.startswith("1 run removed")
    assert cli("runs", "rm", "--older-than", "0s").out.startswith("0 runs removed")
    assert [row.run_id for row in Store(home).runs()] == [slow]
    assert cli("runs", "rm", slow, "--force").out.startswith("1 run removed")
    assert Store(home).runs() == []
    assert places("local") == []


def test_a_run_that_is_followed_is_never_removed(cli, home, terminal, task):
    screen = terminal(*task("local", SLOW))
    screen.wait_for("I begin.")
    run_id = Store(home).runs()[0].run_id
    refused = cli("runs", "rm", run_id, "--force")
    assert refused.code == 3
    assert "is followed by another process; press Ctrl-C there first" in refused.err
    screen.press("\x03")
    assert screen.end() == 130


def test_shell_in_a_kept_place(cli, home, terminal, task, mode, inside, places):
    run_id = json.loads(cli(*task(mode, GOOD, "--keep", "--json")).out)["run_id"]
    assert "kept on request" in cli("sweep").out
    screen = terminal("shell", run_id)
    screen.wait_for("$")
    screen.press("cat made.txt; echo w''here $PWD; exit 5\n")
    screen.wait_for(f"where {inside(Store(home).folder(run_id).path / 'workspace')}")
    assert "hello" in screen.seen
    code = screen.end()
    # A shell in bubblewrap's process namespace can't give the terminal back, and says so by its exit code.
    assert code == 5 or mode == "local"
    cli("runs", "rm", run_id)
    assert places(mode) == []


def test_no_shell_where_there_is_no_place(cli, run_id):
    done = cli("shell", run_id)
    assert done.err == f"error: run {run_id} has no place any more; run it again with --keep\n"
    assert done.code == 1


def test_sweep(cli, home, task, places):
    assert cli("sweep").out == "nothing was left behind\n"
    run_id = cli(*task("local", SLOW, "--bg", "-q")).out.strip()
    assert (
        cli("sweep").out == f"left alone: the place of run {run_id} in local (its run can be attached to)\n"
    )
    (swept,) = json.loads(cli("sweep", "--older-than", "0s", "--json").out)
    assert swept == {"run_id": run_id, "mode": "local", "removed": True, "why": "no run needs it"}
    assert places("local") == []
