"""`ccnb modes`, `doctor`, `image build`, and the help."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import ccnb

DEAD = {"DOCKER_HOST": "unix:///nowhere.sock", "CONTAINER_HOST": "unix:///nowhere.sock"}
HEAVY = ("docker", "yaml", "httpx", "pandas", "ccnb.runner", "ccnb.engine", "ccnb.store")


def test_modes(cli):
    done = cli("modes", **DEAD)
    assert done.code == 0
    for words in (
        "docker",
        "not ready",
        "start Docker Desktop",
        "podman machine start",
        "isolation",
        "workspace",
    ):
        assert words in done.out
    found = {mode["mode"]: mode for mode in json.loads(cli("modes", "--json", **DEAD).out)}
    assert not found["docker"]["ready"]
    assert found["docker"]["next_action"].startswith("start Docker")


@pytest.mark.needs("bubblewrap")
def test_doctor(cli, home):
    done = cli("doctor", CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-" + "x" * 20)
    assert done.code == 0
    for words in ("python", "git", "claude", "in CLAUDE_CODE_OAUTH_TOKEN", str(home), "0 runs"):
        assert words in done.out
    assert "xxxx" not in done.out
    facts = json.loads(cli("doctor", "--json").out)
    assert facts["credential"] is None
    assert {mode["mode"] for mode in facts["modes"]} >= {"docker", "podman", "local"}


def test_doctor_says_what_to_do_without_a_token(cli):
    assert "run `claude setup-token`" in " ".join(cli("doctor", **DEAD, COLUMNS="300").out.split())


@pytest.mark.parametrize("command", [[], ["run"], ["runs", "rm"], ["image", "build"], ["doctor"], ["demo"]])
def test_help(cli, command):
    done = cli(*command, "--help")
    assert done.code == 0
    assert "Usage: ccnb" in done.out


def test_no_command_is_help(cli):
    done = cli()
    assert done.code == 0
    assert "Examples:" in done.out
    assert "Exit codes:" in done.out


def test_version(cli):
    assert cli("--version").out == f"ccnb {ccnb.__version__}\n"


def test_help_imports_nothing_heavy():
    code = f"""
import sys
sys.argv = ["ccnb", "--help"]
from ccnb.cli import main
try:
    main()
except SystemExit:
    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.needs("docker")
def test_a_failed_build_is_a_sentence(cli):
    done = cli("image", "build", "--engine", "docker", "--base", "nobody/nothing:0")
    assert done.code == 3
    last = done.err.splitlines()[-1]
    assert last.startswith("error: the image could not be built")
    assert "Traceback" not in done.err
