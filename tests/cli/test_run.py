"""`ccnb run`, without a terminal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from ccnb.store import Store

GOOD = "init; say 'I write.'; echo hello >made.txt; result"
DEAD = {"DOCKER_HOST": "unix:///nowhere.sock", "CONTAINER_HOST": "unix:///nowhere.sock"}
FAILED = '{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["no"]}'
FAILING = f"init; echo '{FAILED}'; exit 1"
SECRET = "hunter2-hunter2"  # noqa: S105 - of nobody

in_one_mode = pytest.mark.parametrize("mode", [pytest.param("local", marks=pytest.mark.needs("bubblewrap"))])


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_lines_for_events_then_a_summary(cli, task, mode):
    done = cli(*task(mode, GOOD, "--check", "grep -q hello made.txt"), "Make a file")
    assert done.code == 0, done.err
    assert done.err == ""
    lines = [line for line in done.out.splitlines() if not line.startswith("a machine of")]
    assert lines[0].endswith("claude 0, model m")
    assert lines[1].endswith(" s  I write.")
    for words in ("success, check passed", "+ made.txt (6 B)", "kept in", "1 turns"):
        assert words in done.out
    assert "\x1b" not in done.out


def test_a_failed_check_is_exit_code_1(cli, task, mode):
    done = cli(*task(mode, GOOD, "--check", "echo missing; exit 7"))
    assert done.code == 1
    assert "success, check failed" in done.out
    assert "exit 7 ended with 7" in done.out


@in_one_mode
def test_a_failed_agent_is_exit_code_1(cli, task, mode):
    done = cli(*task(mode, FAILING))
    assert done.code == 1
    assert "agent_error" in done.out


@in_one_mode
def test_a_failed_setup_is_exit_code_3(cli, task, mode):
    done = cli(*task(mode, GOOD, "--setup", "exit 9"))
    assert done.code == 3
    assert "the set-up command ended with 9; mend the set-up command" in done.out


@in_one_mode
def test_json_is_one_object_a_run_and_nothing_else(cli, task, mode):
    done = cli(*task(mode, GOOD, "--json", "--check", "true"), "Make a file")
    (record,) = records(done.out)
    assert record["outcome"] == "success"
    assert record["spec"]["prompt"] == "Make a file"
    assert record["check"]["exit_code"] == 0
    assert set(record["paths"]) == {"folder", "workspace", "patch"}
    assert "I write." in done.err


def test_json_of_a_run_that_failed_to_start(cli):
    done = cli("run", "-m", "docker", "--api", "script:demo", "--json", DOCKER_HOST="unix:///nowhere.sock")
    (record,) = records(done.out)
    assert record["outcome"] == "infrastructure"
    assert done.code == 3


@in_one_mode
def test_quiet_prints_the_answer_alone(cli, task, mode):
    done = cli(*task(mode, GOOD, "--quiet"))
    assert (done.out, done.err, done.code) == ("done\n", "", 0)


@in_one_mode
def test_the_prompt_comes_by_standard_input(cli, home, task, mode):
    cli(*task(mode, GOOD, "-q"), "-", stdin="Do this\nand that\n")
    assert Store(home).runs()[0].spec.prompt == "Do this\nand that\n"


@in_one_mode
def test_without_a_prompt_there_is_one(cli, home, task, mode):
    cli(*task(mode, GOOD, "-q"))
    assert "hello.txt" in Store(home).runs()[0].spec.prompt


@in_one_mode
def test_control_characters_of_an_agent_do_nothing(cli, task, mode):
    evil = r"printf '\\u001b]0;owned\\u0007\\u009b2J'"
    done = cli(*task(mode, f'init; say "$({evil})"; printf "\\033[2J\\n"; result'))
    assert done.code == 0
    assert not set(done.out) & {"\x1b", "\x07", "\x9b"}
    assert "␛]0;owned␇" in done.out


def test_a_secret_shows_nowhere(cli, home, task, mode):
    leak = 'init; say "$PASS"; echo "$PASS" >&2; echo "$PASS" >got.txt; result'
    done = cli(*task(mode, leak, "--secret-env", "PASS", "--check", 'echo "$PASS"; false'), PASS=SECRET)
    assert done.code == 1
    shown = cli("show", Store(home).runs()[0].run_id)
    as_json = cli("show", Store(home).runs()[0].run_id, "--json")
    for text in (done.out, done.err, shown.out, as_json.out):
        assert SECRET not in text
    assert "[redacted]" in shown.out


@in_one_mode
def test_a_workspace_and_its_copy(cli, task, mode, tmp_path):
    (tmp_path / "old.txt").write_text("old\n")
    done = cli(*task(mode, "init; cat old.txt >made.txt; result", "-w", str(tmp_path), "--copy"))
    assert "+ made.txt (4 B)" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    cli(*task(mode, "init; cat old.txt >made.txt; result", "-w", str(tmp_path)))
    assert (tmp_path / "made.txt").read_text() == "old\n"


@in_one_mode
def test_reuse_gives_the_same_run(cli, home, task, mode):
    first = cli(*task(mode, GOOD, "--reuse", "--json"), "x")
    second = cli(*task(mode, GOOD, "--reuse", "--json"), "x")
    assert records(first.out)[0]["run_id"] == records(second.out)[0]["run_id"]
    assert len(Store(home).runs()) == 1


@pytest.mark.needs("docker", "bubblewrap")
def test_several_modes_are_set_side_by_side(cli, home, task, agent):
    agent("local", GOOD)
    arguments = task("docker", GOOD)
    arguments[arguments.index("docker")] = "docker,local"
    done = cli(*arguments)
    assert done.code == 0
    table = done.out[done.out.index("side by side") :]
    assert table.splitlines()[1].split() == ["docker", "local"]
    for row in Store(home).runs():
        assert f"ccnb show {row.run_id}" in table


KNOWN_AT_THE_END = """
CREATE TABLE known (cleanup_s REAL);
CREATE TRIGGER removed AFTER UPDATE OF removed_at ON places BEGIN
    INSERT INTO known SELECT record ->> '$.timings.cleanup_s' FROM runs WHERE runs.run = new.run;
END;
"""


@in_one_mode
def test_who_sees_that_a_place_is_gone_finds_how_long_that_took(cli, home, task, mode):
    cli("runs")
    with closing(sqlite3.connect(home / "ccnb.sqlite3")) as database:
        database.executescript(KNOWN_AT_THE_END)
        cli(*task(mode, GOOD))
        ((cleanup_s,),) = database.execute("SELECT cleanup_s FROM known")
    assert cleanup_s == Store(home).runs()[0].record.timings.cleanup_s
    assert cleanup_s > 0


@pytest.mark.needs("bubblewrap")
def test_without_a_mode_it_takes_the_strongest_that_is_ready(cli, home):
    modes = json.loads(cli("modes", "--json").out)
    assert [mode["rank"] for mode in modes] == sorted((mode["rank"] for mode in modes), reverse=True)
    assert cli("run", "-q", "--api", "script:demo").code == 0
    assert cli("run", "-q", "--api", "script:demo", **DEAD).code == 0
    # The latest run is the first: the one that found no engine alive.
    without, first = (row.mode for row in Store(home).runs())
    assert first == next(mode["mode"] for mode in modes if mode["ready"] and not mode["remote"])
    assert without == "local"


@pytest.mark.needs("bubblewrap")
def test_all_modes_are_those_that_are_ready(cli, home):
    done = cli("run", "-m", "all", "--api", "script:demo", "--json")
    assert done.code == 0, done.err
    ready = [mode["mode"] for mode in json.loads(cli("modes", "--json").out) if mode["ready"]]
    assert sorted(record["mode"] for record in records(done.out)) == sorted(ready)


@pytest.mark.needs("bubblewrap")
def test_all_modes_without_an_engine_are_one(cli, home):
    done = cli("run", "-m", "all", "-q", "--api", "script:demo", **DEAD)
    assert done.code == 0, done.err
    assert [row.mode for row in Store(home).runs()] == ["local"]


@pytest.mark.needs("bubblewrap")
def test_a_mode_that_fails_does_not_stop_the_next(cli, task):
    arguments = task("local", GOOD)
    arguments[arguments.index("local")] = "docker,local"
    done = cli(*arguments, DOCKER_HOST="unix:///nowhere.sock")
    assert done.code == 3
    assert "error: no docker engine answers" in done.err
    table = done.out[done.out.index("side by side") :]
    assert "infrastructure" in table
    assert "success" in table


@in_one_mode
def test_a_list_of_hosts_and_what_came_of_it(cli, task, mode):
    ask = "(curl -sS https://b.example/ || true) >&2"
    lists = ("--network", "a.example,*.a.example:8443", "--network", "127.0.0.1:9")
    done = cli(*task(mode, f"init; {ask}; result", "--json", *lists))
    (record,) = records(done.out)
    assert record["spec"]["network"] == ["127.0.0.1:9", "a.example", "*.a.example:8443"]
    use = {"allowed": 0, "refused": 1, "refused_hosts": ["b.example:443"]}
    assert record["network_use"] == use
    shown = cli("show", record["run_id"], "--network").out
    assert "b.example" in shown
    assert "not listed" in shown
    (connections,) = records(cli("show", record["run_id"], "--network", "--json").out)
    assert [(c["host"], c["allowed"]) for c in connections] == [("b.example", False)]
    assert "0 connections allowed, 1 refused: b.example:443" in cli("show", record["run_id"]).out
