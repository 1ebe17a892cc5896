"""The mode of docs/add-a-mode.md: installed as a third party's package, found, and held to the suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import AGENT_IMAGE, agent_image
from tests.newcomer import ROOT

EXAMPLE = ROOT / "docs" / "example-mode"
SUITE = ("tests/conformance/test_modes.py", "tests/conformance/test_attach.py")
SOME = (
    "real_agent_does_the_demo",
    "named_workspace",
    "kept_place",
    "no_network",
    "no_power",
    "secret_shows_nowhere",
    "test_a_second_process_watches",
    "beyond_its_lifetime",
)
"""Of the suite one test for each thing that a mode does; all of it takes minutes."""

pytestmark = pytest.mark.needs("docker")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the environment of a process that has the package, installed by pip without a network."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "source")
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder / "packages")]
    subprocess.run([*pip, str(source)], check=True)
    path = f"{folder / 'packages'}{os.pathsep}{ROOT}"
    return os.environ | {"PYTHONPATH": path, "CCNB_HOME": str(folder / "home")}


def python(env, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_as_ready(installed):
    (found,) = [
        mode for mode in json.loads(python(installed, "ccnb", "modes", "--json")) if mode["mode"] == "byhand"
    ]
    assert found["ready"], found


def test_it_says_what_to_do_where_its_program_is_missing(installed):
    env = installed | {"BYHAND_PROGRAM": "no-such-program"}
    (found,) = [
        mode for mode in json.loads(python(env, "ccnb", "modes", "--json")) if mode["mode"] == "byhand"
    ]
    assert not found["ready"]
    assert (found["why"], found["next_action"]) == (
        "no-such-program isn't installed",
        "name another by BYHAND_PROGRAM",
    )


def test_it_passes_a_part_of_the_conformance_suite(installed):
    python(installed, "ccnb", "image", "build", "--engine", "docker")
    agent_image("docker")
    env = installed | {"CCNB_MODES_UNDER_TEST": json.dumps({"byhand": {"image": AGENT_IMAGE}})}
    some = f"byhand and ({' or '.join(SOME)})"
    said = python(env, "pytest", "-q", "-p", "no:cacheprovider", *SUITE, "-k", some)
    assert f"{len(SOME)} passed" in said
