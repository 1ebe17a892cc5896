"""The command by which a person tries mode `sandbox` on the real thing, on the double of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import alone

TOOL = Path(__file__).parent.parent / "tools" / "sandbox_report.py"

pytestmark = pytest.mark.needs("docker")


@pytest.mark.parametrize("program", ["sbx", "docker"])
def test_the_suite_runs_on_what_is_installed_and_is_reported(home, sandboxes, tmp_path, program):
    sandboxes.use(program)
    options = ("-k", "sandbox and (ready or exit_code)")
    # Both programs give their template the same name.
    with alone("report"):
        try:
            done = subprocess.run(
                [sys.executable, TOOL, *options], cwd=tmp_path, capture_output=True, text=True, timeout=600
            )
        finally:
            subprocess.run(["docker", "rmi", "-f", "ccnb-conformance-agent:1"], capture_output=True)
    report = (tmp_path / "sandbox-report.txt").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert report.startswith({"sbx": "sbx 0.53.0", "docker": "docker sandbox 0.12.0"}[program])
    assert "2 passed" in report
    assert sandboxes.names == []


def test_what_is_missing_is_told(home, sandboxes, tmp_path):
    sandboxes.use("sbx")
    sandboxes.faults("signed-out")
    done = subprocess.run([sys.executable, TOOL], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        3,
        "you aren't signed in to Docker, which sbx needs; run `sbx login`\n",
    )
