"""Results that a machine pushes by itself, to a real git server, while nobody is there to fetch them."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

import ccnb
from ccnb.errors import CredentialError, SpecError
from ccnb.mode import _push
from tests.conformance.test_attach import client, kill
from tests.conftest import bridge_address
from tests.doubles.git_host import TOKEN, GitHost
from tests.searching import files_with
from tests.waiting import wait_for

URL = "https://git.example/team/work"

CLIENT = """
import json, os, sys
import ccnb
env = {"CCNB_PUSH_TOKEN": ccnb.Secret(os.environ["CCNB_PUSH_TOKEN"])}
run = ccnb.start("Do it", env=env, **json.loads(sys.argv[1]))
print(run.run_id, flush=True)
for event in run:
    print(event.type, flush=True)
"""

LOOK_AROUND = """
- say: I look around.
  tools:
    - Bash:
        command: |
          { cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; cat /run/ccnb/push/*; env; } >seen 2>&1
          mkdir inner && git init -q inner && echo i >inner/i.txt && echo ignored >a.log
          echo '*.log' >.gitignore; echo more >>old.txt; printf 'a\\r\\n' >bytes; ln -s /etc/shadow link
        description: look
- say: Done.
"""


@pytest.fixture
def host(tmp_path_factory):
    """Return a host of git that containers reach."""
    started = GitHost(tmp_path_factory.mktemp("git"), bridge_address())
    yield started
    started.close()


def git(folder, *arguments) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=me", "-c", "user.email=me@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.needs("docker")
def test_results_are_pushed_though_nobody_is_there_and_the_token_shows_nowhere(
    home, places, fly_platform, host, tmp_path, monkeypatch
):
    bare, mine = host.make("work.git"), tmp_path / "mine"
    git(tmp_path, "init", "-q", "-b", "main", "mine")
    (mine / "old.txt").write_text("old\n")
    git(mine, "add", ".")
    git(mine, "commit", "-qm", "first")
    base = git(mine, "rev-parse", "HEAD")
    git(mine, "push", "-q", str(bare), "main")
    # `main` moves on, and is left as it is.
    (mine / "old.txt").write_text("old\nelsewhere\n")
    git(mine, "commit", "-qam", "meanwhile")
    git(mine, "push", "-q", str(bare), "main")
    git(mine, "reset", "-q", "--hard", base)
    script = tmp_path / "script.yaml"
    script.write_text(LOOK_AROUND)
    options = {
        "mode": "fly",
        "api": f"script:{script}",
        "workspace": str(mine),
        "check": "test -s seen",
        "push_to": f"{host.url}/work.git#main",
    }
    monkeypatch.setenv("CCNB_PUSH_TOKEN", TOKEN)
    process = client(options, CLIENT)
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    kill(process)
    machines = fly_platform.call("GET", "/v1/apps/ccnb-test/machines").text
    branch = f"ccnb/{run_id}"
    wait_for(lambda: branch in git(bare, "branch", "--list", branch))
    assert (
        git(bare, "log", "--format=%P %an %s", branch).splitlines()[0]
        == f"{base} ccnb Results of run {run_id}"
    )
    assert git(bare, "diff", "--name-only", base, branch).split() == [
        *(".gitignore", "bytes", "inner/i.txt", "link", "old.txt", "seen"),
    ]
    assert git(bare, "show", f"{branch}:link") == "/etc/shadow"
    assert git(bare, "log", "-1", "--format=%s", "main") == "meanwhile"
    seen = git(bare, "show", f"{branch}:seen")
    assert "/workspace" in seen
    result = ccnb.attach(run_id).result()
    assert result.outcome == "success"
    assert not [text for text in result.warnings if "push" in text]
    assert result.conditions["pushed_to"] == f"{host.url}/work.git#{branch}"
    assert result.conditions["pushed_commit"] == git(bare, "rev-parse", branch)
    wait_for(lambda: places("fly") == [])
    assert TOKEN not in seen
    assert TOKEN not in machines
    assert files_with(TOKEN, home) == []
    assert set(host.asked_by) == {"x-access-token"}


@pytest.mark.needs("docker")
def test_whoever_comes_when_the_machine_is_gone_is_told_where_the_results_are(
    home, places, fly_platform, host, monkeypatch
):
    bare, push_to = host.make("work.git"), f"{host.url}/work.git"
    monkeypatch.setenv("CCNB_PUSH_TOKEN", TOKEN)
    process = client({"mode": "fly", "api": "script:demo", "push_to": push_to, "keep_s": 1}, CLIENT)
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    kill(process)
    wait_for(lambda: places("fly") == [], 60)
    assert "wordcount.sh" in git(bare, "ls-tree", "--name-only", f"ccnb/{run_id}")
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error.kind) == ("lost", "place_lost")
    assert f"should be in {push_to}, or in branch ccnb/{run_id} there" in result.error.message


@pytest.mark.needs("docker")
@pytest.mark.parametrize(
    ("repository", "token", "error", "says"),
    [
        ("work.git", "another-token", CredentialError, "CCNB_PUSH_TOKEN may not push to .*make a token"),
        ("none.git", TOKEN, SpecError, "is no repository that CCNB_PUSH_TOKEN can see.*mend push_to"),
    ],
)
def test_what_could_never_be_pushed_is_said_before_anything_is_made(
    home, places, fly_platform, host, repository, token, error, says
):
    host.make("work.git")
    env = {"CCNB_PUSH_TOKEN": ccnb.Secret(token)}
    with pytest.raises(error, match=says):
        ccnb.run("Do it", mode="fly", api="script:demo", push_to=f"{host.url}/{repository}", env=env)
    assert fly_platform.report()["created"] == []


@pytest.mark.parametrize(
    ("state", "noted"),
    [
        ("pushed ccnb/r1 0123abc", {"pushed_to": f"{URL}#ccnb/r1", "pushed_commit": "0123abc"}),
        ("failed remote: denied", {"push_failed": "remote: denied"}),
    ],
)
def test_what_the_machine_says_of_its_push_is_noted(state, noted):
    async def run(argv, stdin):
        return f"{state}\n"

    assert asyncio.run(_push.outcome(run, f"{URL}#main")) == noted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"push_to": URL}, "needs a token that may write there.*--secret-env CCNB_PUSH_TOKEN"),
        ({"push_to": URL, "env": {"CCNB_PUSH_TOKEN": "in the clear"}}, "needs a token.*ccnb.Secret"),
        ({"push_to": "https://me:hush-4711@git.example/work"}, "without a user or password"),
        ({"push_to": "git@git.example:team/work"}, "must be a URL such as https://"),
        ({"push_to": f"{URL}#-x"}, "must be a URL"),
    ],
)
def test_where_to_push_is_said_so_that_no_secret_is_written_down(given, says):
    with pytest.raises(SpecError, match=says) as caught:
        ccnb.RunSpec(prompt="x", mode="fly", **given)
    assert "hush-4711" not in str(caught.value)


def test_where_it_makes_no_sense_it_is_refused(home, monkeypatch):
    options = {"push_to": URL, "env": {"CCNB_PUSH_TOKEN": ccnb.Secret(TOKEN)}, "api": "script:demo"}
    with pytest.raises(SpecError, match="in mode local the results come to this machine"):
        ccnb.run("Do it", mode="local", **options)
