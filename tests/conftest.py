"""What the tests share: a store of their own, the engines that are there, an obedient agent."""

from __future__ import annotations

import importlib.util
import io
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ccnb.credentials import VARIABLES
from ccnb.credentials.token import BEARER
from ccnb.engine import connect
from ccnb.errors import CcnbError
from ccnb.gateway import process as gateway
from ccnb.mode import _bubblewrap
from ccnb.mode import get as get_mode
from ccnb.mode._sandbox_choice import chosen
from ccnb.mode._sbx import Sbx
from ccnb.runner.plan import store_id
from ccnb.store import Store
from tests import images
from tests.sandboxes import Sandboxes, template

REQUIRED = {name for name in os.environ.get("CCNB_REQUIRE", "").split(",") if name}
SYSTEM_PYTHON = "/usr/bin/python3"
AGENT_IMAGE = "localhost/ccnb-test-agent:1"
DOUBLES = Path(__file__).parent / "doubles"

# How long an example takes says something of the machine alone; all else is as it was.
settings.register_profile("ccnb", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ccnb")


@cache
def missing(name: str) -> str | None:
    """Return why a thing that tests need isn't there."""
    if name in ("docker", "podman"):
        try:
            connect(name)
        except CcnbError as error:
            return error.message
        return None
    faults = {"bubblewrap": _bubblewrap.fault, "browser": _no_browser, "tester": _no_tester}
    if name in faults:
        return faults[name]()
    if name == "root":
        return None if os.getuid() == 0 else "needs root"
    return None if shutil.which(name) else f"{name} isn't installed"


def _no_tester() -> str | None:
    """Return why no client can be run as another user, by the system's Python with what is installed here."""
    ask = [SYSTEM_PYTHON, "-c", "import pwd, sys; pwd.getpwnam('ccnbtest'); print(sys.version_info[:2])"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"the user ccnbtest (`make engines`) or {SYSTEM_PYTHON} isn't there"
    here = str(sys.version_info[:2])
    return None if said == here else f"{SYSTEM_PYTHON} is {said}, and the packages here are for {here}"


def _no_browser() -> str | None:
    """Return what of a browser and a JupyterLab is missing."""
    for package in ("playwright", "jupyterlab"):
        if not importlib.util.find_spec(package):
            return f"{package} isn't installed"
    return None if shutil.which("chromium") else "chromium isn't installed"


def pytest_configure(config):
    # What a shell starts in the background ignores Ctrl-C, and so would the clients that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(*names): skipped where one of them is missing, unless required")


def pytest_addoption(parser):
    parser.addoption("--live", action="store_true", help="also run tests that need an account")


def require(name: str) -> None:
    """Leave the test out where a thing isn't there, or let it fail where that must be there."""
    why = missing(name)
    if why and name in REQUIRED:
        pytest.fail(f"{name} is required here: {why}", pytrace=False)
    if why:
        pytest.skip(why)


def pytest_runtest_setup(item):
    if item.get_closest_marker("live") and not item.config.getoption("--live"):
        pytest.skip("needs an account; run with --live")
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            require(name)


def hide_credentials(monkeypatch, folder):
    """Hide every place in which a credential may lie: the environment, `.env`, the keychain, the file."""
    for name in (*VARIABLES, BEARER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder / "no-login"))
    monkeypatch.chdir(folder)


@pytest.fixture
def home(monkeypatch):
    """Return the home of a fresh store; what its runs leave behind is removed and told as a failure.

    No credential of whoever runs the tests is found: a test must never cost anything.
    """
    folder = Path(tempfile.mkdtemp(prefix="ccnb-test-"))
    monkeypatch.setenv("CCNB_HOME", str(folder))
    hide_credentials(monkeypatch, folder)
    yield folder
    gateway.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def places(home):
    """Return a function that lists the places of this test's store in a mode, by the engine's word."""
    from ccnb import _loop

    return lambda mode: _loop.submit(get_mode(mode).places(store_id(Store(home)))).result()


@pytest.fixture
def sandboxes(home, monkeypatch):
    """Return the double of Docker's sandboxes; what a test leaves in it is removed."""
    double = Sandboxes(monkeypatch)
    yield double
    double.clear()


ENGINES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("docker", "podman")]
OTHERS: dict[str, dict] = json.loads(os.environ.get("CCNB_MODES_UNDER_TEST", "{}"))
"""Modes of third parties to hold to the same suite, each with what a run in it needs (an image, say)."""
SANDBOXES = [
    pytest.param(f"sandbox-{program}", marks=pytest.mark.needs("docker")) for program in ("sbx", "docker")
]
"""Mode `sandbox` by each of the two programs, on the double."""
FLY = pytest.param("fly", marks=pytest.mark.needs("docker"))
SHARED_KERNEL = [
    *ENGINES,
    pytest.param("local", marks=pytest.mark.needs("bubblewrap")),
    *(name for name in OTHERS if name != "sandbox"),
]
"""Modes whose wall is what this machine's kernel denies; in a virtual machine much need not be denied."""
NEAR = [*SHARED_KERNEL, *(["sandbox"] if "sandbox" in OTHERS else SANDBOXES)]
"""Modes whose places have the gateway beside them."""
MODES = [*NEAR, FLY]
near_modes = pytest.mark.parametrize("mode", NEAR, indirect=True)
"""For tests of what mode `fly` refuses: `tests/mode/test_fly.py` has the list of that."""


@pytest.fixture
def select_mode(request):
    """Return a function that makes a mode ready, and gives its name."""

    def select(named: str) -> str:
        if named == "fly":
            request.getfixturevalue("fly_platform")
        if named.startswith("sandbox-"):
            request.getfixturevalue("sandboxes").use(named.removeprefix("sandbox-"))
            return "sandbox"
        return named

    return select


@pytest.fixture(params=MODES)
def mode(request, select_mode):
    """Run the test in each mode."""
    return select_mode(request.param)


@pytest.fixture
def inside(mode):
    """Return a function that says where the agent of a mode sees a workspace of the caller's."""
    return lambda workspace: str(workspace) if mode == "sandbox" else "/workspace"


@pytest.fixture
def holds_lists(mode, request):
    """See to it that a mode can hold a list of hosts; a person's own `sbx` may not."""
    if mode != "sandbox":
        return
    if mode not in OTHERS:
        request.getfixturevalue("sandboxes").shut()
    elif isinstance(program := chosen(), Sbx) and not program.denies("github.com"):
        pytest.skip("sbx holds a list only where your policy is Locked Down: `sbx policy reset`")


@pytest.fixture
def closed(mode):
    """Return the network with the fewest ways out that a mode can hold."""
    return "open" if mode == "sandbox" else "none"


@pytest.fixture(params=SHARED_KERNEL)
def shared_kernel_mode(request):
    """Run the test in each mode whose places share this machine's kernel."""
    return request.param


@pytest.fixture(scope="session")
def fly_double():
    """Return a double of Fly.io that serves for all tests, with an app in it."""
    from tests.doubles.fly.client import Double

    with Double() as double:
        double.make_app("ccnb-test")
        yield double
        assert double.report()["against_specification"] in (None, [])


@pytest.fixture
def fly_platform(fly_double, monkeypatch, tmp_path_factory):
    """Let mode `fly` find the double, an app of it, and the project's image; return the double."""
    from tests.doubles.fly.client import project_image

    fly_double.forget()
    for name, value in fly_double.environment("ccnb-test", project_image()).items():
        monkeypatch.setenv(name, value)
    # A person's own settings play no part.
    monkeypatch.setenv("FLY_CONFIG_DIR", str(tmp_path_factory.mktemp("no-flyctl")))
    return fly_double


@pytest.fixture(params=ENGINES)
def engine_mode(request):
    """Run the test in each mode that has an engine."""
    return request.param


def bridge_address() -> str:
    """Return this machine's address on Docker's bridge; one that was just made has only a subnet."""
    config = connect("docker").api.inspect_network("bridge")["IPAM"]["Config"][0]
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


@cache
def agent_image(kind: str) -> str:
    """Make the image whose `claude` runs the shell commands of the variable AGENT."""
    return build_agent_image(connect(kind))


def build_agent_image(engine) -> str:
    """Build that image on an engine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(DOUBLES / "agent" / "claude", "claude")
        recipe = (
            b"FROM node:22-slim\nCOPY claude /usr/local/bin/claude\nRUN chmod 755 /usr/local/bin/claude\n"
        )
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        archive.addfile(entry, io.BytesIO(recipe))
    buffer.seek(0)
    return images.build(engine, AGENT_IMAGE, fileobj=buffer, custom_context=True)


@pytest.fixture
def agent(home, monkeypatch):
    """Return options for a run, in a mode, whose agent runs some shell commands in place of a model."""

    def options(mode: str, commands: str) -> dict:
        common = {"mode": mode, "api": "script:demo", "env": {"AGENT": commands}}
        if mode == "sandbox" and mode not in OTHERS:
            return common | {"image": template(agent_image("docker"))}
        if mode == "fly":
            return common | {"image": agent_image("docker")}
        if mode not in ("docker", "podman"):
            monkeypatch.setenv("PATH", f"{DOUBLES / 'agent'}:{os.environ['PATH']}")
            return common | OTHERS.get(mode, {})
        return common | {"image": agent_image(mode)}

    return options
