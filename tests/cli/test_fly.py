"""`ccnb fly`, on a double of the platform and a registry of this machine."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib

import httpx
import pytest

from ccnb.engine import connect
from ccnb.engine.images import push
from ccnb.errors import ImageError
from tests.cli.conftest import COMMAND
from tests.conftest import AGENT_IMAGE, agent_image, require
from tests.doubles import for_arm
from tests.doubles.fly.client import TOKEN, Double
from tests.waiting import listens, wait_for

pytestmark = pytest.mark.needs("docker")

REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:0}}
auth:
  token: {{realm: {realm}, service: ccnb, issuer: fly-double, rootcertbundle: {folder}/login.pem}}
"""


@pytest.fixture
def platform(monkeypatch, tmp_path, home):
    """Return a double with nothing in it; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLY_CONFIG_DIR", str(tmp_path / "no-flyctl"))
    for name in ("FLY_APP", "FLY_ORG", "FLY_REGION", "CCNB_FLY_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    with Double() as double:
        for name in ("FLY_FLAPS_BASE_URL", "FLY_API_BASE_URL"):
            monkeypatch.setenv(name, double.url)
        monkeypatch.setenv("FLY_API_TOKEN", f"FlyV1 {TOKEN}")
        yield double


@pytest.fixture
def registry(tmp_path_factory, platform):
    """Return the address of a registry on this machine, which lets in whom the double knows."""
    require("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    (folder / "login.pem").write_text(platform.report()["registry_certificate"])
    settings = REGISTRY.format(folder=folder, realm=f"{platform.url}/registry/token")
    (folder / "config.yml").write_text(settings)
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")], stderr=subprocess.DEVNULL
    )
    # A port of its own choice: one that is only looked for may be another test's by then.
    wait_for(lambda: listens(process.pid))
    ((_, port),) = listens(process.pid)
    wait_for(lambda: answers(port))
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).status_code == 401
    except httpx.HTTPError:
        return False


def test_set_up_makes_the_app_and_names_it_in_fly_toml(cli, platform, tmp_path):
    done = cli("fly", "setup", "--app", "my-own", "--region", "ams")
    assert (done.code, done.err) == (0, "")
    assert "made app my-own in organisation personal" in done.out
    written = tomllib.loads((tmp_path / "fly.toml").read_text())
    assert (written["app"], written["primary_region"]) == ("my-own", "ams")
    assert "services" not in written
    again = cli("fly", "setup")
    assert again.code == 0
    assert "app my-own is there already" in again.out
    assert json.loads(cli("fly", "status", "--json").out)["app"] == "my-own"


def test_without_a_name_one_is_made_up(cli, platform, tmp_path):
    assert cli("fly", "setup").code == 0
    written = tomllib.loads((tmp_path / "fly.toml").read_text())
    assert written["app"].startswith("ccnb-")
    assert written["primary_region"] == "arn"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (("setup", "--app", "taken"), {}, 3, "another app"),
        (("setup", "--app", "A b"), {}, 2, "small letters"),
        (("setup", "--app", "new", "--org", "unknown"), {}, 3, "--org NAME"),
        (("setup", "--app", "new"), {"FLY_API_TOKEN": ""}, 4, "no token for Fly.io"),
        (("setup", "--app", "new"), {"FLY_API_TOKEN": "fm2_expired"}, 4, "has expired"),
        (("status",), {}, 3, "run `ccnb fly setup`"),
        (("build",), {"FLY_APP": "not-there"}, 3, "run `ccnb fly setup`"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_next_action(cli, platform, arguments, env, code, says):
    done = cli("fly", *arguments, **env)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err
    assert TOKEN not in done.err


def test_the_image_is_pushed_and_runs_happen_in_it(cli, platform, registry, monkeypatch):
    monkeypatch.setenv("CCNB_FLY_REGISTRY", registry)
    agent_image("docker")
    assert cli("fly", "setup", "--app", "my-own").code == 0
    built = cli("fly", "build")
    assert built.code == 0, built.err
    image = built.out.strip().splitlines()[-1]
    assert image.startswith(f"{registry}/my-own@sha256:")
    assert "Pushed" in built.err
    assert json.loads(cli("fly", "status", "--json").out)["image"] == image
    assert _fly_of(cli)["ready"]
    run = cli("run", "-m", "fly", "--api", "script:demo", "--json")
    assert run.code == 0, run.err
    assert json.loads(run.out)["conditions"]["image"] == image
    login = {"username": "x", "password": "fm2_another"}
    with pytest.raises(ImageError, match=r"could not be pushed.*FLY_API_TOKEN that may push"):
        push(connect("docker"), AGENT_IMAGE, f"{registry}/my-own", login, print)
    for name, value, action in (
        ("FLY_REGION", "nowhere", "set FLY_REGION.*to one of ams, arn"),
        ("CCNB_FLY_IMAGE", f"{registry}/my-own:none", "run `ccnb fly build`"),
        ("CCNB_FLY_IMAGE", f"{registry}/other:1", "set FLY_API_TOKEN"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            found = _fly_of(cli)
        assert not found["ready"]
        assert re.search(action, found["next_action"])


def test_an_image_for_another_processor_is_not_pushed():
    for_arm.load()
    with pytest.raises(ImageError, match=r"arm64, not amd64; build it with .*--platform linux/amd64"):
        push(connect("docker"), for_arm.NAME, "127.0.0.1:1/my-own", {}, print)


def _fly_of(cli) -> dict:
    """Return what `ccnb doctor` says of the mode."""
    return next(m for m in json.loads(cli("doctor", "--json").out)["modes"] if m["mode"] == "fly")


def test_without_an_engine_the_command_for_flyctl_is_said(cli, platform):
    assert cli("fly", "setup", "--app", "my-own").code == 0
    done = cli("fly", "build", "--remote")
    assert done.code == 0
    assert "fly deploy --app my-own --build-only --push" in done.out


def test_status_and_logs_of_a_run(cli, platform, monkeypatch):
    agent_image("docker")
    assert cli("fly", "setup", "--app", "my-own").code == 0
    at_rest = cli("fly", "status").out
    assert "as it should be between runs" in at_rest
    monkeypatch.setenv("CCNB_FLY_IMAGE", AGENT_IMAGE)
    run = cli("run", "-m", "fly", "--api", "script:demo", "--env", "AGENT=init; result", "--keep", "--json")
    run_id = json.loads(run.out)["run_id"]
    status = cli("fly", "status").out
    assert run_id in status
    assert "started" in status
    # The platform has a line some time after it was printed.
    wait_for(lambda: "ccnb: agent" in cli("fly", "logs", run_id).out)
    said = cli("fly", "logs", run_id)
    assert said.code == 0
    assert "ccnb: begun" in said.out
    assert "ccnb: agent" in said.out
    following = subprocess.Popen(
        [COMMAND, "fly", "logs", run_id, "--follow"], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    while "ccnb: agent" not in following.stdout.readline():
        assert following.poll() is None
    assert cli("sweep", "--older-than", "0s").code == 0
    assert platform.report()["machines"] == {}
    following.communicate(timeout=60)
    assert following.returncode == 0
