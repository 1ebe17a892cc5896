"""A kernel that is restarted or shut down, while a cell of it follows a run."""

from __future__ import annotations

import time

import pytest
from jupyter_client.manager import KernelManager

import ccnb
from ccnb.store import Store
from tests.waiting import wait_for


@pytest.fixture
def kernel_with(home):
    """Return a function that starts a kernel whose cell follows a run, and returns its manager."""
    manager = KernelManager(kernel_name="python3")

    def start(cell):
        manager.start_kernel()
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        client.execute("%load_ext ccnb")
        client.execute(cell)
        store = Store(home)
        wait_for(lambda: any(store.count_events(row.run_id) > 1 for row in store.runs()))
        client.stop_channels()
        return manager

    yield start
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("modes", ["", " -m local,"], ids=["run", "comparison"])
@pytest.mark.parametrize("end", ["restart", "shutdown"])
def test_its_end_is_no_wish_for_the_end_of_a_run(kernel_with, double, end, modes):
    manager = kernel_with(f"{double('init; say begun; sleep 4; say over; result')}{modes}\nGo.")
    # Both begin with an interrupt; on a busy machine what follows it comes a moment later.
    manager.interrupt_kernel()
    time.sleep(0.2)
    if end == "restart":
        manager.restart_kernel()
    else:
        manager.shutdown_kernel()
    (row,) = ccnb.runs()
    result = ccnb.attach(row.run_id).result()
    assert (result.outcome, [e.text for e in result.events][1:3]) == ("success", ["begun", "over"])


def test_the_interrupt_ends_the_run(kernel_with, double):
    manager = kernel_with(f"{double('init; say begun; sleep 60; result')}\nGo.")
    manager.interrupt_kernel()
    wait_for(lambda: [row.outcome for row in ccnb.runs()] == ["cancelled"])
