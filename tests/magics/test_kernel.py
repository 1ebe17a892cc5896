"""A kernel that is restarted or shut down, while a cell of it follows a run."""

from __future__ import annotations

import os
import re
import time

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

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


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Return the client of a kernel that has the magics, and an empty store."""
    home = tmp_path_factory.mktemp("home")
    manager, client = start_new_kernel(env=os.environ | {"CCNB_HOME": str(home)})
    client.execute_interactive("%load_ext ccnb", timeout=120)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%cc --mo", {"--mode", "--model"}),
        ("%%cc --mode docker,pod", {"podman"}),
        ("%cc --model so", {"sonnet"}),
        ("%cc_runs --out", {"--outcome"}),
    ],
)
@pytest.mark.parametrize("body", ["", "\nWrite a poem\n--mode"], ids=["alone", "above a body"])
def test_tab_asks_the_kernel_and_is_told_what_may_stand_there(asked, line, offered, body):
    assert offered <= completed(asked, line + body, len(line))


def test_tab_offers_files_that_a_script_may_be_read_from(asked, tmp_path):
    (tmp_path / "steps.yaml").touch()
    line = f"%%cc --api script:{tmp_path}/st"
    assert f"script:{tmp_path}/steps.yaml" in completed(asked, f"{line}\nGo.", len(line))


def test_tab_offers_nothing_of_ours_in_the_body(asked):
    code = "%%cc --mode local\nWrite it.\n--mo"
    assert not {"--mode", "--model"} & completed(asked, code, len(code))


def completed(client, code, at):
    """Return the words that Tab makes of the one that is being written, as a notebook asks for them."""
    told = client.complete(code, at, reply=True, timeout=60)["content"]
    begun = re.split(r"\s", code[: told["cursor_start"]])[-1]
    return {(begun + match).rpartition(",")[2] for match in told["matches"]}


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
