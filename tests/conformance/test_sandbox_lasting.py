"""Sandboxes that last from run to run, on the doubles of Docker's two programs."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.store import Store
from tests.conformance.test_attach import killed_at_first_event
from tests.waiting import UNTIL_TOLD, tell, wait_for

pytestmark = pytest.mark.needs("docker")


@pytest.fixture(params=["sbx", "docker"])
def program(request, sandboxes):
    """Run the test by each of the two programs."""
    sandboxes.use(request.param)
    return request.param


@pytest.fixture
def lasting(home, sandboxes, agent, tmp_path):
    """Return options for a run in a lasting sandbox whose agent runs some shell commands, by `sbx`."""
    if not list(sandboxes.bin.iterdir()):
        sandboxes.use("sbx")
    (tmp_path / "work").mkdir()
    common = {"sandbox": "tools", "workspace": str(tmp_path / "work")}
    return lambda commands: agent("sandbox", commands) | common


def test_what_one_run_installs_the_next_one_finds(home, program, sandboxes, lasting, tmp_path):
    left = "while sleep 0.2; do date >>left; done"
    until = "until [ -s left ]; do sleep 0.1; done"
    commands = f"init; echo v1 >/tmp/tool; (setsid sh -c '{left}' &) ; {until}; result"
    first = ccnb.run("Do it", **lasting(commands))
    second = ccnb.run("Do it", check="cat /tmp/tool; ls $HOME/..", **lasting("init; result"))
    assert (first.outcome, first.conditions["sandbox"]) == ("success", "cold")
    assert (second.outcome, second.conditions["sandbox"]) == ("success", "warm")
    tool, *inside = second.check.output.splitlines()
    assert tool == "v1"
    assert "check.out" in inside
    # What was left to run has ended, and each run's own files are with that run alone.
    size = (tmp_path / "work" / "left").stat().st_size
    wait_for(lambda: Store(home).place(second.run_id) is None)
    assert not list((home / "sandboxes" / "tools").iterdir())
    for run in (first, second):
        assert (run.folder.inside / "out").resolve().is_relative_to(run.folder.path)
        assert [event.type for event in run.events] == ["system", "result"]
    assert (tmp_path / "work" / "left").stat().st_size == size
    # It is nobody's to sweep.
    assert ccnb.sweep(older_than_s=0) == []
    assert len(sandboxes.names) == 2


def test_a_run_of_its_own_is_cold(home, places, sandboxes, agent):
    sandboxes.use("sbx")
    assert ccnb.run("Do it", **agent("sandbox", "init; result")).conditions["sandbox"] == "cold"
    wait_for(lambda: places("sandbox") == [])


def test_a_run_outlives_its_client_in_a_lasting_sandbox_too(home, program, lasting):
    run_id = killed_at_first_event(lasting(f"init; say 1; {UNTIL_TOLD}; say 2; result"))
    with pytest.raises(ccnb.CcnbError, match=rf"^run {run_id} goes on in sandbox 'tools'; wait for its end"):
        ccnb.run("Do it", **lasting("init; result"))
    tell(run_id)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, [event.text for event in result.events]) == ("success", ["", "1", "2", "done"])
    assert ccnb.run("Do it", **lasting("init; result")).conditions["sandbox"] == "warm"


def test_who_finds_it_left_by_a_finished_run_takes_it_and_loses_nothing_of_that(home, lasting):
    run_id = killed_at_first_event(lasting("init; say 1; sleep 1; say 2; echo hi >made.txt; result"))
    inside = Store(home).run(run_id).folder.inside
    wait_for(lambda: "finished " in (inside / "steps").read_text())
    assert ccnb.run("Do it", **lasting("init; result")).outcome == "success"
    result = ccnb.attach(run_id).result()
    assert (result.outcome, [event.text for event in result.events]) == ("success", ["", "1", "2", "done"])
    assert "made.txt" in [file.path for file in result.files]


def test_a_cancelled_run_leaves_the_sandbox_to_others(home, sandboxes, lasting):
    run = ccnb.start("Do it", **lasting("echo kept >/tmp/tool; init; sleep 300"))
    wait_for(lambda: len(run.events) == 1)
    run.cancel()
    assert run.result().outcome == "cancelled"
    result = ccnb.run("Do it", check="cat /tmp/tool", **lasting("init; result"))
    assert (result.check.output, result.conditions["sandbox"]) == ("kept\n", "warm")


def test_a_sandbox_that_is_another_is_refused(home, sandboxes, lasting, tmp_path):
    ccnb.run("Do it", **lasting("init; result"))
    options = lasting("init; result") | {"memory_mb": 512}
    with pytest.raises(ccnb.CcnbError, match=r"made with memory_mb None, not 512; .*ccnb sandbox rm tools"):
        ccnb.run("Do it", **options)
    with pytest.raises(ccnb.CcnbError, match=r"was made with workspace '.*/work', not"):
        ccnb.run("Do it", **lasting("init; result") | {"workspace": str(tmp_path)})
    # Who was refused holds nothing.
    assert ccnb.run("Do it", **lasting("init; result")).outcome == "success"


def test_a_fault_while_it_is_made_leaves_nothing_and_nobody_in_it(home, sandboxes, lasting):
    sandboxes.faults("create-fails")
    with pytest.raises(ccnb.CcnbError, match="made no sandbox in 3 tries"):
        ccnb.run("Do it", **lasting("init; result"))
    assert sandboxes.names == []
    sandboxes.faults()
    assert ccnb.run("Do it", **lasting("init; result")).conditions["sandbox"] == "cold"
