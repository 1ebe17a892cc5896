"""An agent that means harm: what it tries in its place, and what comes of it."""

from __future__ import annotations

import ccnb
from tests.conformance.test_modes import run_until_clean

STATUS = "grep -E '^(Seccomp|NoNewPrivs|CapBnd):' /proc/self/status | tr -d '\\t'"
SOCKETS = "find / -xdev -type s 2>/dev/null; ls -d /var/run/docker.sock /run/podman 2>/dev/null; true"
ENGINES_OWN = ("/etc/", "/run/", "/sbin/", "/usr/sbin/")
MOUNTS = "cut -d' ' -f2 /proc/mounts | grep -vE '^/(proc|sys|dev)(/|$)'"


def test_a_container_has_no_powers_no_engine_and_no_folder_but_its_own(home, places, engine_mode, agent):
    look = "; echo ---; ".join((STATUS, SOCKETS, MOUNTS))
    result = run_until_clean(places, check=look, **agent(engine_mode, "result"))
    status, sockets, mounts = result.check.output.split("---\n")
    assert status.split() == ["CapBnd:0000000000000000", "NoNewPrivs:1", "Seccomp:2"]
    assert "docker" not in sockets
    assert "podman" not in sockets
    theirs = {mount for mount in mounts.split() if not mount.startswith(ENGINES_OWN)}
    assert theirs == {"/", "/workspace", "/ccnb", "/opt/ccnb/claude"}


def test_processes_without_end_end_at_the_limit(home, places, engine_mode, agent):
    forks = "( i=0; while [ $i -lt 400 ]; do sleep 30 & i=$((i+1)); done ) 2>/dev/null"
    commands = f"init; {forks}; set -- /proc/[0-9]*; say $#; result"
    result = run_until_clean(places, max_processes=64, **agent(engine_mode, commands))
    assert result.outcome == "success"
    (running,) = [int(event.text) for event in result.events if event.type == "assistant"]
    assert 20 < running <= 64


def test_a_flood_of_output_is_followed_to_its_end(home, places, mode, agent):
    """All of it is kept, in the run folder; a run's time limit is what bounds it."""
    line = '{"type":"x","v":"' + "y" * 1000 + '"}'
    commands = f"init; yes '{line}' | head -n 20000; result"
    result = run_until_clean(places, **agent(mode, commands))
    assert result.outcome == "success"
    assert len(result.events) == 20_002


def test_a_time_limit_bounds_a_flood_without_end(home, places, agent):
    result = run_until_clean(
        places, timeout_s=2, **agent("local", "init; while :; do say x; sleep 0.01; done")
    )
    assert result.outcome == "timeout"
    assert {event.type for event in result.events} == {"system", "assistant"}


def test_a_symlink_in_the_workspace_gives_nothing_of_this_machine(home, places, mode, agent, tmp_path):
    """Neither by the files that are told, nor by the patch, nor when it is applied."""
    (tmp_path / "private.txt").write_text("mine alone")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    commands = f"init; ln -s {tmp_path}/private.txt stolen; ln -s ../.. up; result"
    result = run_until_clean(places, workspace=str(workspace), copy=True, **agent(mode, commands))
    assert {file.path for file in result.files} == {"stolen", "up"}
    assert "mine alone" not in str(result.patch)
    assert isinstance(result, ccnb.RunResult)
    result.apply()
    assert (workspace / "stolen").is_symlink()
    assert (tmp_path / "private.txt").read_text() == "mine alone"
