"""What every mode does, on real engines: the same suite for ours and for a third party's."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import ccnb
from ccnb import _loop
from ccnb.engine import connect
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.searching import content_of
from tests.waiting import UNTIL_TOLD, tell, wait_for

DEMO = {"api": "script:demo", "check": "sh wordcount.sh sample.txt | grep -qx 6"}


def run_until_clean(places, prompt="Do it", **options):
    """Run, and wait for the removal that goes on behind the result."""
    result = ccnb.run(prompt, **options)
    wait_for(lambda: places(options["mode"]) == [])
    return result


def test_the_mode_says_that_it_is_ready_and_what_it_is(mode):
    readiness = _loop.submit(get_mode(mode).probe()).result()
    assert readiness.ready, readiness
    assert readiness.version
    assert set(readiness.facts) == {
        "where",
        "isolation",
        "auth",
        "workspace",
        "state",
        "cost",
        "platform",
    }


def test_the_real_agent_does_the_demo_task(home, places, mode):
    seen = []
    result = run_until_clean(places, "Write a word counter", mode=mode, on_event=seen.append, **DEMO)
    assert (result.outcome, result.error) == ("success", None)
    assert result.check.passed
    assert {f.path for f in result.files} == {"sample.txt", "wordcount.sh"}
    assert [e.raw for e in result.events] == [e.raw for e in seen]
    assert sorted({e.offset for e in seen}) == [e.offset for e in seen]
    assert result.num_turns == 6
    assert len(result.calls) == 5
    assert "6" in result.text
    assert result.conditions["agent_version"]


def test_the_phases_add_up_to_the_wall_time(home, places, mode, agent):
    options = agent(mode, "init; sleep 0.3; result")

    def outside_s() -> float:
        begun = time.time()
        result = ccnb.run("Do it", setup="sleep 0.2", check="sleep 0.1", **options)
        wall_s = time.time() - begun
        assert result.timings.setup_s >= 0.2
        assert result.timings.first_event_s + result.timings.agent_s >= 0.3
        assert result.timings.check_s >= 0.1
        assert wall_s - result.timings.wall_s >= -0.05
        return wall_s - result.timings.wall_s

    # Before the first phase there is no more than looking at what was asked for. A busy machine can only
    # add to that, so the least of several counts.
    assert any(outside_s() < 0.5 for _ in range(5))


def test_a_named_workspace_is_worked_on_in_place_and_stays_the_callers(home, places, mode, agent, tmp_path):
    (tmp_path / "old.txt").write_text("old\n")
    commands = "init; mkdir made; echo new >made/new.txt; echo more >>old.txt; result"
    result = run_until_clean(places, workspace=str(tmp_path), **agent(mode, commands))
    assert {(f.path, f.change) for f in result.files} == {("made/new.txt", "made"), ("old.txt", "changed")}
    for path in (tmp_path, tmp_path / "made", tmp_path / "made/new.txt", tmp_path / "old.txt"):
        assert path.stat().st_uid == os.getuid()
        assert path.stat().st_gid == os.getgid()
    assert "+more" in result.patch
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made", "old.txt"]


def test_a_removal_that_comes_late_takes_nothing_from_the_workspaces_next_run(
    home, places, mode, agent, tmp_path
):
    commands = f"init; {UNTIL_TOLD}; echo x >>lines; result"
    options = agent(mode, commands) | {"workspace": str(tmp_path)}
    earlier = ccnb.start("Do it", **options)
    wait_for(lambda: len(earlier.events) > 0)
    place = Place.from_dict(Store(home).place(earlier.run_id))
    tell(earlier.run_id)
    assert earlier.result().outcome == "success"
    later = ccnb.start("Do it", **options)
    wait_for(lambda: len(later.events) > 0)
    _loop.submit(get_mode(mode).destroy(place)).result()
    # Else it would have been taken for a folder that the engine can't see.
    assert not Store(home).place(later.run_id)["details"].get("archive")
    tell(later.run_id)
    assert (later.result().outcome, later.result().warnings) == ("success", ())
    assert (tmp_path / "lines").read_text() == "x\n" * 2
    wait_for(lambda: places(mode) == [])


def test_a_copy_leaves_the_original_until_it_is_applied(home, places, mode, agent, tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    commands = "init; echo b >>a.txt; echo c >c.txt; result"
    result = run_until_clean(places, workspace=str(tmp_path), copy=True, **agent(mode, commands))
    assert (tmp_path / "a.txt").read_text() == "a\n"
    result.apply()
    assert (tmp_path / "a.txt").read_text() == "a\nb\n"
    assert (tmp_path / "c.txt").read_text() == "c\n"


def test_the_exit_code_and_the_last_words_of_an_agent_that_fails(home, places, mode, agent):
    result = run_until_clean(places, **agent(mode, "init; echo 'it broke' >&2; exit 7"))
    assert (result.outcome, result.exit_code) == ("agent_error", 7)
    assert "it broke" in result.error.message


def test_set_up_runs_first_and_its_failure_ends_the_run(home, places, mode, agent):
    fine = run_until_clean(places, setup="echo 1 >made", **agent(mode, "init; cat made >&2; result"))
    assert fine.outcome == "success"
    bad = run_until_clean(places, setup="echo mend me; exit 3", **agent(mode, "init; result"))
    assert (bad.outcome, bad.error.kind, len(bad.events)) == ("infrastructure", "setup_failed", 0)
    assert bad.error.message.endswith("ended with 3: mend me")


def test_the_checks_verdict_is_apart_from_the_outcome(home, places, mode, agent):
    result = run_until_clean(places, check="echo no; exit 1", **agent(mode, "init; result"))
    assert result.outcome == "success"
    assert (result.check.passed, result.check.exit_code, result.check.output) == (False, 1, "no\n")


def test_bytes_of_any_kind_come_through(home, places, mode, agent):
    commands = (
        'init; printf \'{"type":"x","v":"\\377\\376"}\\n\'; '
        'printf \'{"type":"big","v":"\'; head -c 10000000 /dev/zero | tr \'\\0\' a; printf \'"}\\n\'; '
        'result; printf \'{"type":"cut"\''
    )
    result = run_until_clean(places, **agent(mode, commands))
    kinds = [e.type for e in result.events]
    assert kinds == ["system", "x", "big", "result", "unparsed"]
    assert result.events[1].raw["v"] == "\udcff\udcfe"
    assert len(result.events[2].raw["v"]) == 10_000_000
    assert result.events[4].raw["text"] == '{"type":"cut"'


def test_an_agent_that_rewrites_its_output_is_noticed(home, places, mode, agent):
    commands = f"init; say one; {UNTIL_TOLD}; cd $HOME/..; sed -i s/one/two/ out; result >>out"
    handle = ccnb.start("Do it", **agent(mode, commands))
    wait_for(lambda: len(handle.events) == 2)
    tell(handle.run_id)
    result = handle.result()
    wait_for(lambda: places(mode) == [])
    assert any("changed output" in warning for warning in result.warnings)
    assert result.events[1].text == "one"


def test_the_time_limit_ends_the_agent(home, places, mode, agent):
    result = run_until_clean(places, timeout_s=1, **agent(mode, "init; sleep 100; result"))
    assert (result.outcome, result.error.kind) == ("timeout", "timeout")
    assert result.timings.agent_s < 60


def test_the_time_limit_holds_for_an_agent_that_stops_its_supervisor(home, places, mode, agent):
    commands = "init; echo x >x.txt; kill -STOP $PPID; sleep 600; result"
    result = run_until_clean(places, timeout_s=1, check="true", **agent(mode, commands))
    assert (result.outcome, result.error.kind, result.check) == ("timeout", "timeout", None)
    assert [f.path for f in result.files] == ["x.txt"]


def test_a_cancelled_run_keeps_what_it_had(home, places, mode, agent):
    handle = ccnb.start("Do it", **agent(mode, "init; echo x >x.txt; say hello; sleep 60"))
    wait_for(lambda: len(handle.events) == 2)
    handle.cancel()
    result = handle.result()
    assert result.outcome == "cancelled"
    assert [f.path for f in result.files] == ["x.txt"]
    assert [e.text for e in result.events][1] == "hello"
    wait_for(lambda: places(mode) == [])


def test_a_hang_after_the_result_does_no_harm(home, places, mode, agent):
    result = run_until_clean(places, **agent(mode, "init; result; sleep 100"))
    assert (result.outcome, result.error) == ("success", None)


def test_what_hung_after_its_result_is_checked_all_the_same(home, places, mode, agent):
    result = run_until_clean(places, check="exit 4", **agent(mode, "init; result; sleep 100"))
    assert (result.outcome, result.check.exit_code) == ("success", 4)


def test_the_agent_cannot_change_the_check(home, places, mode, agent):
    result = run_until_clean(places, check="false", **agent(mode, "init; echo true >$HOME/../check; result"))
    assert not result.check.passed


def test_an_agent_that_keeps_its_check_from_being_done_has_failed(home, places, mode, agent):
    result = run_until_clean(places, check="true", **agent(mode, "init; result; touch $HOME/../stop"))
    assert (result.outcome, result.error.kind) == ("agent_error", "check_prevented")


def test_what_the_agent_puts_in_place_of_its_files_is_not_followed(home, places, mode, agent, tmp_path):
    (tmp_path / "private").write_text("not for the agent")
    commands = f"init; cd $HOME/..; rm -f err; mkfifo err; ln -s {tmp_path}/private check.out; result"
    result = run_until_clean(places, check="true", **agent(mode, commands))
    assert (result.outcome, result.check.passed) == ("success", True)
    assert "not for the agent" not in str(result.to_dict())


def test_a_secret_in_a_files_name_or_at_the_edge_of_what_is_kept_is_redacted(home, places, mode, agent):
    value = "edge-of-night-4711"
    options = agent(mode, 'init; touch "$KEY"; result')
    options["env"]["KEY"] = ccnb.Secret(value)
    check = 'printf "%s" "$KEY"; head -c 16375 /dev/zero | tr "\\0" a'
    result = run_until_clean(places, check=check, **options)
    assert [f.path for f in result.files] == ["[redacted]"]
    assert not any(value[i:] in result.check.output for i in range(len(value) - 4))


def test_silence_is_taken_for_a_wedge(home, places, mode, agent):
    result = run_until_clean(places, stall_s=2, **agent(mode, "init; sleep 100"))
    assert result.outcome == "wedged"


def test_a_kept_place_can_be_looked_into_until_it_is_swept(home, places, mode, agent):
    result = ccnb.run("Do it", keep=True, **agent(mode, "init; echo hi >x.txt; result"))
    place = Place.from_dict(Store(home).place(result.run_id))
    looked = _loop.submit(get_mode(mode).exec(place, ["cat", "x.txt"])).result()
    assert (looked.code, looked.output) == (0, b"hi\n")
    assert [s.removed for s in ccnb.sweep()] == [False]
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]
    assert places(mode) == []


def test_no_network_means_no_interface_but_loopback(home, places, shared_kernel_mode, agent):
    mode = shared_kernel_mode
    commands = "init; cat /proc/net/dev >&2; result"
    run = ccnb.run("Do it", network="none", check="tail -n +3 /proc/net/dev", **agent(mode, commands))
    interfaces = [line.split(":")[0].strip() for line in run.check.output.splitlines()]
    # Kernels show tunnels that are down and lead nowhere; nothing else.
    assert [name for name in interfaces if "tun" not in name and "gre" not in name and "ip" not in name] in (
        ["lo"],
        ["lo", "sit0"],
    )


def test_the_agent_has_no_power_over_the_machine(home, places, shared_kernel_mode, agent):
    mode = shared_kernel_mode
    result = run_until_clean(
        places, check="id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status", **agent(mode, "result")
    )
    uid, *status = result.check.output.splitlines()
    assert uid != "0"
    values = dict(line.split(":\t") for line in status)
    assert int(values["CapEff"], 16) == 0
    assert values["NoNewPrivs"] == "1"


def test_the_agent_sees_nothing_of_the_callers_home(home, places, mode, agent, monkeypatch, tmp_path):
    (tmp_path / "private.txt").write_text("mine-in-a-file")
    monkeypatch.setenv("OF_THE_CALLER", "mine-in-the-environment")
    # This file has those words too, and lies where the caller works.
    files = f"{tmp_path}/private.txt {Path(__file__)}"
    result = run_until_clean(places, check=f"cat {files}; env; ls -a $HOME", **agent(mode, "result"))
    assert "mine-in" not in result.check.output
    home_inside = next(line for line in result.check.output.splitlines() if line.startswith("HOME="))
    assert home_inside in ("HOME=/ccnb/home", f"HOME={result.folder.inside}/home")


def test_the_agent_sees_no_process_of_the_callers(home, places, mode, agent):
    result = run_until_clean(places, check="cat /proc/[0-9]*/comm", **agent(mode, "init; result"))
    seen = result.check.output.split("\n")
    assert "sh" in seen
    assert Path("/proc/self/comm").read_text().strip() not in seen


def test_a_secret_shows_nowhere(home, places, mode, agent):
    value = 'hush-hush-"quoted"-4711'
    escaped = '$(printf %s "$KEY" | sed \'s/"/\\\\"/g\')'
    line = 'printf \'{"type":"x","v":"%s"}\\n\' ' + f'"{escaped}"'
    options = agent(mode, f"init; sleep 1; {line}; result")
    options["env"]["KEY"] = ccnb.Secret(value)
    handle = ccnb.start("Do it", keep=True, **options)
    processes = ""
    while not handle.done:
        processes += subprocess.run(
            ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout
        time.sleep(0.2)
    result = handle.result()
    assert "supervisor.sh" in processes
    assert "hush-hush" not in processes
    assert result.events[1].raw["v"].count("[redacted]") == 1
    assert "hush-hush" not in repr(result)
    assert "hush-hush" not in str(result.to_dict())
    assert [file.name for file in home.glob("ccnb.sqlite3*") if b"hush-hush" in content_of(file)] == []
    kept = places(mode)
    assert "hush-hush" not in str(kept)
    if mode in ("docker", "podman"):
        (told,) = [connect(mode).inspect(place.id) for place in kept]
        # Of all that the engine tells, labels and command too, only the environment has it, where it must be.
        assert "hush-hush" in str(told["Config"].pop("Env"))
        assert "hush-hush" not in str(told)
    ccnb.sweep(older_than_s=0)


def test_what_runs_by_itself_is_pointed_out(home, places, mode, agent):
    plant = "mkdir -p .git/hooks .vscode; echo x >.git/hooks/post-checkout; echo {} >.vscode/tasks.json"
    commands = f"init; {plant}; result"
    result = run_until_clean(places, **agent(mode, commands))
    assert {f.path for f in result.files if f.runs_by_itself} == {
        ".git/hooks/post-checkout",
        ".vscode/tasks.json",
    }
    assert any("may run by itself" in warning for warning in result.warnings)


def test_a_prompt_of_any_length_arrives(home, places, mode, agent):
    prompt = "é" * 300_000
    result = ccnb.run(prompt, check="wc -m <sum", **agent(mode, "init; cat >sum; result"))
    assert Path(result.workspace, "sum").read_text() == prompt
