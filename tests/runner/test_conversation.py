"""A run goes on where an earlier one has ended."""

from __future__ import annotations

import shutil

import pytest

import ccnb
from ccnb.errors import RunNotFoundError, SpecError
from ccnb.runner.conversation import carry_over, continued
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.kept import keep_run

SESSION = "11111111-2222-3333-4444-555555555555"
SCRIPT = """
- tools:
    - Write: {file_path: $CWD/a.txt, content: "one\\n"}
- say: Written.
- tools:
    - Bash: {command: "echo two >> a.txt"}
- say: Added.
"""


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(SCRIPT)
    return f"script:{file}"


@pytest.fixture
def earlier(home):
    """Return a finished run with a conversation."""
    (home / "runs").mkdir()
    result = keep_run(Store(home), "r1")
    talk = result.folder.inside / "config" / "projects" / "-workspace"
    talk.mkdir(parents=True)
    (talk / f"{SESSION}.jsonl").write_text("{}\n")
    (talk / "other.jsonl").write_text("no part of it\n")
    (talk.parent.parent / ".credentials.json").write_text("a secret")
    return result


def spec(**options):
    return RunSpec(prompt="go on", continues="r1", **options)


def test_the_same_conversation_in_the_same_workspace(home, mode, script):
    one = ccnb.run("write", api=script, mode=mode).raise_for_error()
    two = ccnb.run("add", api=script, continues=one.run_id).raise_for_error()
    assert (two.text, two.mode, two.workspace) == ("Added.", mode, one.workspace)
    assert (two.workspace / "a.txt").read_text() == "one\ntwo\n"
    assert [(file.path, file.change) for file in two.files] == [("a.txt", "changed")]
    again = ccnb.run("add", api=script, continues=one.run_id, reuse=True)
    assert again.run_id == two.run_id


def test_what_is_not_said_is_the_earlier_runs(earlier):
    found = continued(spec(), Store(earlier.home))
    assert (found.continues, found.resume, found.mode) == ("r1", SESSION, "docker")
    assert found.workspace == str(earlier.workspace)
    assert continued(spec(mode="local", model="haiku"), Store(earlier.home)).mode == "local"
    assert continued(RunSpec(prompt="alone"), Store(earlier.home)) == RunSpec(prompt="alone")


def test_only_the_conversation_is_carried_over(earlier):
    store = Store(earlier.home)
    folder = store.folder("r2")
    folder.make()
    carry_over(folder, continued(spec(), store))
    files = [str(path.relative_to(folder.inside)) for path in folder.inside.rglob("*") if path.is_file()]
    assert files == [f"config/projects/-workspace/{SESSION}.jsonl"]


@pytest.mark.parametrize("where", ["file", "project", "projects", "config"])
def test_a_link_of_the_agents_leads_nowhere(earlier, tmp_path, where):
    store = Store(earlier.home)
    inside = earlier.folder.inside
    path = {
        "file": inside / "config/projects/-workspace" / f"{SESSION}.jsonl",
        "project": inside / "config/projects/-workspace",
        "projects": inside / "config/projects",
        "config": inside / "config",
    }[where]
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecError):
        carry_over(store.folder("r2"), continued(spec(), store))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workspace": "/tmp"}, "takes workspace and conversation from the earlier run"),
        ({"resume": "99999999-2222-3333-4444-555555555555"}, "takes workspace and conversation from"),
        ({"workspace": "/tmp", "copy": True}, "goes on in the earlier run's workspace; leave copy out"),
        ({"continues": "nothing"}, "no run has the id 'nothing'"),
        ({"continues": " "}, "continues must be a non-empty string"),
        ({"continues": "r5"}, "run r5 isn't finished; attach to it first"),
        ({"continues": "r6"}, "run r6 has no conversation to go on with"),
    ],
)
def test_what_can_not_be_gone_on_with_is_said(earlier, options, sentence):
    keep_run(Store(earlier.home), "r5", finished=False)
    keep_run(Store(earlier.home), "r6", session_id=None)
    with pytest.raises((SpecError, RunNotFoundError), match=sentence):
        ccnb.run("go on", **{"continues": "r1", "api": "script:demo"} | options)
    assert len(ccnb.runs()) == 3
