"""`comparison.lock`: the same matrix again, under the same conditions, or not at all."""

from __future__ import annotations

import json

import pytest

import ccnb
from ccnb.cli import _run as cli
from ccnb.comparison import locks
from ccnb.redact import Secret
from tests.comparison.client import VARIANTS, compare

VALUE = "hunter2-hunter2"
pytestmark = pytest.mark.needs("bubblewrap")


def changed(file, target, **values):
    """Write a lock anew, with other values for what its place met."""
    content = json.loads(file.read_text())
    content["places"][0] |= values
    target.write_text(json.dumps(content))
    return target


def test_the_lock_runs_the_same_matrix_in_the_same_order(obedient, tmp_path, monkeypatch, capsys):
    variants = VARIANTS | {
        "secret": {"env": {"AGENT": 'init; echo "$KEY" >made; result', "KEY": Secret(VALUE)}}
    }
    first = compare("first", repeats=2, variants=variants, seed=5)
    lock = first.write_lock(tmp_path / "comparison.lock")
    assert first.lock_file.read_text() == lock.read_text()
    assert VALUE not in lock.read_text()
    monkeypatch.setenv("CCNB_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(ccnb.CcnbError, match="the secret KEY by its name only; export the variable"):
        ccnb.compare(lock=lock)
    monkeypatch.setenv("KEY", "another-value")
    monkeypatch.setenv("CCNB_MODE", "docker")
    assert cli(["compare", "--lock", str(lock), "--name", "second", "-q"]) == 0
    assert "ccnb compare --lock" in capsys.readouterr().out
    second = ccnb.Comparison("second")
    assert second.seed == 5
    assert list(second.frame["arm"]) == list(first.frame["arm"])
    assert (
        second.result(int(second.frame.query("arm == 'secret'")["number"].iloc[0]))
        .spec.env["KEY"]
        .is_withheld
    )
    # Of the lock of what it gave, the same comes again.
    again = json.loads(second.lock_file.read_text())
    assert again | {"name": "first"} == json.loads(lock.read_text())


def test_another_agent_than_the_locks_ends_it_at_its_first_run(obedient, tmp_path):
    lock = changed(compare("one", repeats=3).write_lock(), tmp_path / "x", agent_version="1.0.0")
    with pytest.raises(
        ccnb.CcnbError, match=r"the agent version 1\.0\.0 in local, and here it is 0; install"
    ):
        ccnb.compare(lock=lock, name="two")
    assert ccnb.Comparison("two").frame["run_id"].notna().sum() == 1


@pytest.mark.needs("docker")
def test_another_image_than_the_locks_is_told_before_the_first_run(home, agent, tmp_path):
    first = ccnb.compare("Do it.", name="one", warmups=0, **agent("docker", "init; result"))
    (place,) = json.loads(first.lock_file.read_text())["places"]
    assert place["image_digest"].startswith("sha256:")
    lock = changed(first.lock_file, tmp_path / "x", image_digest="sha256:0")
    with pytest.raises(ccnb.CcnbError, match="the image digest sha256:0 in docker"):
        ccnb.compare(lock=lock, name="two")
    with pytest.raises(ccnb.CcnbError, match="no comparison has the name 'two'"):
        ccnb.Comparison("two")
    assert ccnb.compare(lock=first.lock_file, name="three").frame["counted"].all()


def test_a_script_that_has_changed_is_told(obedient, tmp_path):
    script = tmp_path / "s.yaml"
    script.write_text("- Done.\n")
    lock = compare("one", repeats=1, api=f"script:{script}").lock_file
    script.write_text("- Done, otherwise.\n")
    with pytest.raises(ccnb.CcnbError, match=r"s\.yaml isn't what it was when the lock was written"):
        ccnb.compare(lock=lock)


def test_what_the_lock_says_is_not_said_twice(obedient, tmp_path):
    lock = compare("one", repeats=1).lock_file
    for beside in ({"repeats": 2}, {"modes": ["local"]}, {"check": "true"}):
        with pytest.raises(ccnb.CcnbError, match=f"leave {next(iter(beside))} out, or the lock"):
            ccnb.compare(lock=lock, **beside)
    with pytest.raises(ccnb.CcnbError, match="leave prompts out"):
        ccnb.compare("Do it.", lock=lock)
    with pytest.raises(ccnb.CcnbError, match="there is no prompt"):
        ccnb.compare()


def test_what_is_no_lock_is_told(home, tmp_path):
    for text in ("x", "{}", '{"ccnb_lock": 1}'):
        (tmp_path / "x").write_text(text)
        with pytest.raises(ccnb.CcnbError, match=r"x is no comparison\.lock"):
            locks.read(tmp_path / "x")
    (tmp_path / "x").write_text('{"ccnb_lock": 2}')
    with pytest.raises(ccnb.CcnbError, match="by a newer ccnb"):
        locks.read(tmp_path / "x")
