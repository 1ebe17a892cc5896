"""A mode in somebody else's package: found by its entry point, held to the suite, harmless when broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHED = """
from ccnb.mode.local import LocalMode

class ShedMode(LocalMode):
    name = "shed"
"""


@pytest.fixture
def third_party(tmp_path):
    """Return a function that installs a package with the mode `shed` and returns the environment with it."""

    def install(code: str) -> dict[str, str]:
        (tmp_path / "shed.py").write_text(code)
        info = tmp_path / "shed-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shed\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[ccnb.modes]\nshed = shed:ShedMode\n")
        return os.environ | {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "CCNB_HOME": str(tmp_path / "home")}

    return install


@pytest.mark.needs("bubblewrap")
def test_the_suite_takes_a_mode_of_a_third_party(third_party):
    suite = ["tests/conformance/test_modes.py", "tests/conformance/test_attach.py"]
    some = "shed and (demo or time_limit_ends or killed_between or beyond_its_lifetime or secret_shows)"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite, "-k", some],
        env=third_party(SHED) | {"CCNB_MODES_UNDER_TEST": '{"shed": {}}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_one_that_cannot_be_loaded_is_not_ready_and_says_why(third_party):
    env = third_party("import nothing_of_this_name")
    done = subprocess.run(
        [sys.executable, "-m", "ccnb", "modes", "--json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    (shed,) = [mode for mode in json.loads(done.stdout) if mode["mode"] == "shed"]
    assert not shed["ready"]
    assert "nothing_of_this_name" in shed["why"]
    assert shed["next_action"] == "reinstall its package"
