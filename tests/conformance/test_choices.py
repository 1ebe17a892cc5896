"""What a person can choose of a run: the image, no wall, a run that was done before, a model that refuses."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path

import pytest

import ccnb
from ccnb import _loop
from ccnb.engine import connect
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.conformance.test_modes import DEMO, run_until_clean
from tests.conftest import AGENT_IMAGE, DOUBLES, agent_image

ANY_IMAGE = {"docker": "debian:bookworm-slim", "podman": "node:22-slim"}


def test_any_glibc_image_gets_the_agent_mounted(home, places, engine_mode):
    image = ANY_IMAGE[engine_mode]
    result = run_until_clean(places, "Write a word counter", mode=engine_mode, image=image, **DEMO)
    assert (result.outcome, result.error) == ("success", None)
    assert result.check.passed
    assert result.conditions["image"] == image
    assert result.conditions["image_digest"]


@pytest.mark.needs("bubblewrap")
def test_without_a_wall_the_scripted_model_still_does_its_task(home, places):
    result = run_until_clean(places, "Write a word counter", mode="local", isolation="none", **DEMO)
    assert (result.outcome, result.error) == ("success", None)
    assert result.check.passed
    assert result.conditions["engine"] == "plain process"
    assert result.events[0].raw["permissionMode"] == "acceptEdits"


def test_without_a_wall_what_the_agent_leaves_running_ends_with_the_run(home, places, agent):
    commands = "init; (setsid sleep 300 &) ; result"
    result = run_until_clean(places, isolation="none", **agent("local", commands))
    assert result.outcome == "success"


def test_without_a_wall_what_goes_on_beginning_more_ends_with_it_too(home, places, agent):
    """While one looks for what is left there is more of it."""
    commands = "init; (setsid sh -c 'while sleep 0.002; do sleep 300 & done' &) ; result"
    result = run_until_clean(places, isolation="none", **agent("local", commands))
    assert result.outcome == "success"


def test_no_network_is_refused_where_it_cannot_be_held(home):
    with pytest.raises(ccnb.CcnbError, match="can't be held for a plain process"):
        ccnb.run("Do it", mode="local", isolation="none", network="none", api="script:demo")


def test_a_finished_run_of_the_same_is_used_again(home, places, mode, agent, tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    options = agent(mode, "init; cat a.txt >b.txt; result") | {"workspace": str(tmp_path), "copy": True}
    first = run_until_clean(places, **options)
    again = ccnb.run("Do it", reuse=True, **options)
    assert again.run_id == first.run_id
    (tmp_path / "a.txt").write_text("other\n")
    other = run_until_clean(places, reuse=True, **options)
    assert other.run_id != first.run_id


@pytest.mark.needs("bubblewrap")
def test_behind_the_wall_the_program_that_was_found_goes_before_this_machines_own(home, places, agent):
    options = agent("local", "init; result") | {"check": 'test "$(command -v claude)" = "${PATH%%:*}/claude"'}
    assert run_until_clean(places, **options).check.passed


@pytest.mark.needs("bubblewrap")
def test_one_who_looks_into_a_plain_process_is_in_its_workspace(home, agent):
    options = agent("local", "init; echo hi >x.txt; result") | {"isolation": "none"}
    result = ccnb.run("Do it", keep=True, **options)
    place = Place.from_dict(Store(home).place(result.run_id))
    looked = _loop.submit(get_mode("local").exec(place, ["cat", "x.txt"])).result()
    assert (looked.code, looked.output) == (0, b"hi\n")
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]


def test_a_script_that_was_edited_is_another_task(home, places, tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("- say: One.\n")
    options = {"mode": "local", "api": f"script:{script}"}
    first = run_until_clean(places, **options)
    assert ccnb.run("Do it", reuse=True, **options).run_id == first.run_id
    script.write_text("- say: Two.\n")
    other = run_until_clean(places, reuse=True, **options)
    assert (other.text, other.run_id != first.run_id) == ("Two.", True)


def test_another_image_under_the_same_name_is_another_task(home, places, engine_mode, agent, another_name):
    engine = connect(engine_mode)
    options = agent(engine_mode, "init; result") | {"image": another_name}
    first = run_until_clean(places, **options)
    assert ccnb.run("Do it", reuse=True, **options).run_id == first.run_id
    recipe = io.BytesIO(f"FROM {AGENT_IMAGE}\nLABEL changed=1\n".encode())
    for step in engine.api.build(fileobj=recipe, tag=another_name, rm=True, decode=True):
        assert "error" not in step, step
    other = run_until_clean(places, reuse=True, **options)
    assert (other.run_id != first.run_id, other.outcome) == (True, "success")


@pytest.fixture
def another_name(engine_mode):
    """Return a name of the double's image that can be given to another one; it is removed."""
    api = connect(engine_mode).api
    name = f"localhost/ccnb-test-reuse-{os.getpid()}"
    api.tag(agent_image(engine_mode), name, "1")
    yield f"{name}:1"
    api.remove_image(f"{name}:1")


@pytest.mark.needs("bubblewrap")
def test_an_updated_claude_of_this_machine_is_another_task(home, places, agent, monkeypatch, tmp_path):
    options = agent("local", "init; result")
    program = shutil.copy(DOUBLES / "agent" / "claude", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first = run_until_clean(places, **options)
    assert ccnb.run("Do it", reuse=True, **options).run_id == first.run_id
    with Path(program).open("a") as file:
        file.write("# another version\n")
    assert run_until_clean(places, reuse=True, **options).run_id != first.run_id


def test_an_api_that_refuses_the_credential_ends_the_run_at_once(home, places, mode, tmp_path):
    script = tmp_path / "refuse.yaml"
    script.write_text("- error: 401\n")
    begun = time.monotonic()
    result = run_until_clean(places, mode=mode, api=f"script:{script}")
    assert (result.outcome, result.error.kind) == ("infrastructure", "authentication_failed")
    assert result.error.api_status == 401
    assert time.monotonic() - begun < 30


def test_an_overloaded_api_is_waited_for(home, places, mode, tmp_path):
    script = tmp_path / "busy.yaml"
    script.write_text("- say: At last.\n  error: 529\n  times: 1\n")
    result = run_until_clean(places, mode=mode, api=f"script:{script}")
    assert (result.outcome, result.text) == ("success", "At last.")
    assert [c["status"] for c in result.calls] == [529, 200]
    assert any(e.retry and e.retry.status == 529 for e in result.events)
