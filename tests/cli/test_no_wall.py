"""Mode `local` where bubblewrap isn't installed, or is but isn't allowed: scripts alone, and it says so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.test_bad_input import assert_complaint, assert_nothing_goes_on

TOKEN = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-" + "x" * 20}
DENIED = "bwrap: setting up uid map: Permission denied"


@pytest.fixture(params=["missing", "denied"])
def no_wall(request, tmp_path):
    """Return a PATH without a bubblewrap that works, and what is wrong with it."""
    for folder in map(Path, os.defpath.split(":")):
        for program in folder.iterdir():
            if program.name != "bwrap" and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    if request.param == "missing":
        return str(tmp_path), "bubblewrap isn't installed"
    denied = tmp_path / "bwrap"
    denied.write_text(f"#!/bin/sh\necho '{DENIED}' >&2\nexit 1\n")
    denied.chmod(0o755)
    return str(tmp_path), f"bubblewrap is denied ({DENIED})"


def test_a_real_model_is_not_let_loose(cli, home, no_wall):
    path, why = no_wall
    done = cli("run", "x", "-m", "local", PATH=path, **TOKEN)
    assert_complaint(done, f"mode local has no wall here ({why}), so a real model isn't let loose", 3)
    assert "use docker or podman, or say isolation='none'" in done.err
    assert_nothing_goes_on(home)


def test_the_scripted_model_does_its_task_in_a_plain_process(cli, no_wall):
    path, _ = no_wall
    script = ("--api", "script:demo", "--check", "sh wordcount.sh sample.txt | grep -qx 6")
    done = cli("run", "x", "-m", "local", *script, "--json", PATH=path)
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert (record["outcome"], record["conditions"]["engine"]) == ("success", "plain process")


@pytest.mark.parametrize("network", ["none", "a.example"])
def test_a_closed_network_is_refused(cli, home, no_wall, network):
    path, why = no_wall
    done = cli("run", "x", "-m", "local", "--api", "script:demo", "--network", network, PATH=path)
    assert_complaint(done, f"can't be held for a plain process ({why}); use docker or podman", 3)
    assert_nothing_goes_on(home)


def test_it_is_told_beforehand_and_ranks_below_every_wall(cli, no_wall):
    path, why = no_wall
    modes = {mode["mode"]: mode for mode in json.loads(cli("modes", "--json", PATH=path).out)}
    local = modes["local"]
    assert local["facts"]["isolation"] == "none: a plain process"
    assert f"{why}: only the scripted model runs without isolation='none'" in local["notes"]
    assert local["rank"] < min(modes["docker"]["rank"], modes["podman"]["rank"])
    assert why in " ".join(cli("doctor", PATH=path, COLUMNS="400").out.split())
