"""How a run that is followed seems while it goes on."""

from __future__ import annotations

import time

import pytest

import ccnb
from tests.waiting import UNTIL_TOLD, tell, wait_for


@pytest.mark.needs("bubblewrap")
def test_an_agent_that_is_silent_for_long_seems_slow_until_it_speaks_again(home, agent, tmp_path):
    commands = "init; until [ -e speak ]; do sleep 0.1; done; say hello; result"
    run = ccnb.start("Do it", workspace=str(tmp_path), stall_s=30, **agent("local", commands))
    wait_for(lambda: run.health == "slow")
    (tmp_path / "speak").touch()
    assert run.result().outcome == "success"
    assert run.health == "ok"


@pytest.mark.needs("bubblewrap")
def test_a_silent_check_is_not_taken_for_a_slow_agent(home, agent):
    run = ccnb.start("Do it", stall_s=15, check="sleep 3", **agent("local", "init; result"))
    wait_for(lambda: run.state == "checking")
    seen = set()
    while not run.done:
        seen.add(run.health)
        time.sleep(0.05)
    assert (run.result().outcome, seen) == ("success", {"ok"})


@pytest.mark.needs("bubblewrap")
def test_an_agent_that_seemed_slow_at_its_end_seems_so_no_more_in_its_check(home, agent):
    run = ccnb.start("Do it", stall_s=30, check="sleep 3", **agent("local", f"init; {UNTIL_TOLD}"))
    wait_for(lambda: run.health == "slow")
    tell(run.run_id)
    wait_for(lambda: run.state == "checking")
    assert run.health == "ok"
    run.result()
