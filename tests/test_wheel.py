"""What is installed from the wheel works without the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.newcomer import ROOT, environment, variables

DATA = ("Dockerfile", "supervisor.sh", "relay.mjs", "fly.toml", "scripts/demo.yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the project's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """Return the folder of programs of an environment in which the wheel is installed."""
    programs = environment(tmp_path_factory.mktemp("installed") / "venv")
    install = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True)
    return programs


@pytest.fixture
def installed(programs, home, tmp_path):
    """Return a function that runs a program of that environment, in an empty folder."""

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(programs / name), *arguments],
            cwd=tmp_path,
            env=variables(home, programs),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_wheel_holds_what_is_not_python_whole(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for name in DATA:
            assert archive.read(f"ccnb/data/{name}") == (ROOT / "ccnb" / "data" / name).read_bytes()
        for path in (ROOT / "ccnb" / "widgets" / "static").iterdir():
            assert archive.read(f"ccnb/widgets/static/{path.name}") == path.read_bytes()
        assert "ccnb/py.typed" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "bench/", "tools/"))]


def test_it_asks_for_lower_bounds_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    wanted = [line.partition(";")[0] for line in metadata.get_all("Requires-Dist")]
    assert [line for line in wanted if not re.fullmatch(r"[\w.\[\]-]+(>=[\w.]+)?", line.strip())] == []
    assert metadata.get_all("Provides-Extra") == ["docs", "local", "test"]


def test_the_links_at_the_top_lead_to_what_is_in_the_wheel():
    for name in ("Dockerfile", "fly.toml"):
        assert (ROOT / name).resolve() == (ROOT / "ccnb" / "data" / name).resolve()


def test_it_is_the_installed_package_that_runs(installed, programs):
    where = Path(installed("python", "-c", "import ccnb; print(ccnb.__file__)").strip())
    assert programs.parent in where.parents


@pytest.mark.needs("bubblewrap")
def test_the_demo_runs(installed):
    printed = installed("ccnb", "demo", "--mode", "local", "-n", "1")
    assert "success, check passed" in printed
    assert "wordcount.sh" in printed
    assert "report: " in printed


@pytest.mark.needs("docker")
def test_the_image_builds(installed):
    assert (
        installed("ccnb", "image", "build", "--engine", "docker")
        .splitlines()[-1]
        .startswith("localhost/ccnb-agent:")
    )
