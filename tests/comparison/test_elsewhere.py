"""Rows that run in other processes with stores of their own: all come home, whole."""

from __future__ import annotations

import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import distributed
import ipyparallel
import pytest

import ccnb
from ccnb.comparison import elsewhere
from ccnb.gateway import process as gateway
from ccnb.redact import Secret
from ccnb.store import Store
from tests.comparison.client import VARIANTS, compare
from tests.kept import answer, keep_run, use

pytestmark = pytest.mark.needs("bubblewrap")


def live_in(home):
    os.environ["CCNB_HOME"] = home


def end_badly():
    os._exit(3)


@pytest.fixture
def workers(obedient, tmp_path):
    """Return a pool of two processes, which together have another store."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=live_in, initargs=(str(tmp_path / "far"),)) as pool:
        yield pool
    gateway.stop(tmp_path / "far")


def test_runs_of_workers_come_home_into_one_store(obedient, workers, tmp_path):
    comparison = compare("far", repeats=3, executor=workers)
    assert comparison.frame["counted"].sum() == 6
    assert "2 at once" in comparison.text
    assert len(Store(tmp_path / "far").runs()) == 6
    result = comparison.results()[0]
    assert [event.type for event in result.events] == ["system", "assistant", "result"]
    assert "+x" in result.patch
    assert compare("far", repeats=3).frame["counted"].sum() == 6
    assert len(Store(obedient).runs()) == 6


def test_workers_that_are_forked_from_a_client_at_work_do_the_same(obedient):
    compare("before", repeats=1)
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert compare("forked", repeats=2, executor=pool).frame["counted"].sum() == 4


def test_a_worker_that_dies_leaves_a_row_with_its_cause(obedient, workers):
    workers.submit(end_badly)
    comparison = compare("died", repeats=1, executor=workers)
    assert comparison.frame["counted"].sum() == 0
    assert set(comparison.failures()["error_kind"]) == {"BrokenProcessPool"}
    assert compare("died", repeats=1).frame["counted"].all()


def test_the_workers_of_a_cluster_do_the_same(obedient, tmp_path):
    far = tmp_path / "far"
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        client.run(live_in, str(far))
        comparison = compare("cluster", repeats=2, executor=client.get_executor())
    gateway.stop(far)
    assert comparison.frame["counted"].sum() == 4
    assert len(Store(far).runs()) == 4


def test_the_engines_of_ipyparallel_do_the_same(obedient, tmp_path, monkeypatch):
    far = tmp_path / "far"
    # They are processes of their own, and find these tests by the path alone.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with ipyparallel.Cluster(n=2, log_level=logging.ERROR) as engines:
        engines[:].apply_sync(live_in, str(far))
        comparison = compare("engines", repeats=2, executor=engines.load_balanced_view().executor)
    gateway.stop(far)
    assert comparison.frame["counted"].sum() == 4
    assert len(Store(far).runs()) == 4


def test_a_run_that_was_sent_is_the_same_at_home(tmp_path):
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    for store in (here, there):
        store.home.mkdir()
        (store.home / "runs").mkdir()
    sent = keep_run(there, "r1", events=[(1.0, use("t1")), (2.0, answer("t1"))])
    sent.folder.patch.write_bytes(b"\xff not text\n")
    parcel = elsewhere.pack(there, "r1")
    assert elsewhere.unpack(here, parcel).to_dict() == sent.to_dict()
    assert elsewhere.unpack(here, parcel).to_dict() == sent.to_dict()
    assert [event.raw for event in here.events("r1")] == [event.raw for event in there.events("r1")]
    assert here.folder("r1").patch.read_bytes() == b"\xff not text\n"


def test_a_secret_is_not_sent(obedient, workers):
    secret = {"x": VARIANTS["quick"] | {"env": {"KEY": Secret("hunter2-hunter2")}}}
    with pytest.raises(ccnb.CcnbError, match="a secret never leaves this process"):
        compare("secret", repeats=1, variants=secret, executor=workers)
