"""Engines as people have them: of another user, of another machine, gone in the middle, with limits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import ccnb
from ccnb.engine import connect
from ccnb.engine.images import default_reference
from ccnb.gateway.meeting import answers
from ccnb.runner.plan import store_id
from ccnb.store import Store
from tests.conformance.test_attach import client, kill, killed_at_first_event
from tests.conformance.test_modes import DEMO, run_until_clean
from tests.conftest import AGENT_IMAGE, DOUBLES, SYSTEM_PYTHON, agent_image, require
from tests.waiting import gateway_listens, wait_for

TESTER = 1234
ROOTLESS_DOCKER = f"unix:///run/user/{TESTER}/docker.sock"
SITE = next(p for p in sys.path if p.endswith("site-packages"))

CLIENT = """
import json, os, sys
import ccnb
options = json.loads(sys.argv[1])
result = ccnb.run("Do it", **options)
files = {}
for root, _, names in os.walk(result.workspace):
    for name in names:
        path = os.path.join(root, name)
        files[os.path.relpath(path, result.workspace)] = [os.lstat(path).st_uid, open(path).read()]
print(json.dumps({"outcome": result.outcome, "error": str(result.error), "files": files,
    "changes": [[f.path, f.change] for f in result.files], "texts": [e.text for e in result.events],
    "warnings": result.warnings, "patch": result.patch, "check": result.check and result.check.output}))
"""


needs_tester = pytest.mark.needs("tester")


@pytest.fixture
def tester_folder(request):
    """Return a folder of another user's."""
    uid = getattr(request, "param", TESTER)
    folder = Path("/tmp") / f"ccnb-tester-{os.getpid()}-{time.monotonic_ns() % 10**6}"
    (folder / "workspace").mkdir(parents=True)
    (folder / "home").mkdir()
    for path in (folder, folder / "workspace", folder / "home"):
        os.chown(path, uid, uid)
    yield folder
    shutil.rmtree(folder)


def as_tester(folder: Path, options: dict, **env: str) -> subprocess.CompletedProcess:
    """Run a client as the user whose folder it is: mostly ccnbtest."""
    uid = (folder / "home").stat().st_uid
    project = Path(__file__).parent.parent.parent
    return subprocess.run(
        [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={uid}",
            "--groups=docker",
            SYSTEM_PYTHON,
            "-c",
            CLIENT,
            json.dumps(options | {"workspace": str(folder / "workspace")}),
        ],
        env={
            "PATH": os.defpath,
            "HOME": "/home/ccnbtest" if uid == TESTER else str(folder / "home"),
            "CCNB_HOME": str(folder / "home"),
            "PYTHONPATH": f"{project}:{SITE}",
            "XDG_RUNTIME_DIR": f"/run/user/{uid}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        | env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def told_by_tester(folder: Path, options: dict, **env: str) -> dict:
    """Run a client as that user and return what it tells of its result."""
    done = as_tester(folder, options, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# 1000 is the first user of most machines, and the image's own `node`.
ordinary_users = pytest.mark.parametrize("tester_folder", [TESTER, 1000], indirect=True)
WORK = "init; id -u >uid.txt; mkdir -p d; echo x >d/x.txt; result"


@needs_tester
@ordinary_users
@pytest.mark.needs("docker", "root")
def test_what_the_agent_makes_in_docker_belongs_to_an_ordinary_user(tester_folder):
    options = {"mode": "docker", "api": "script:demo", "image": agent_image("docker"), "env": {"AGENT": WORK}}
    told = told_by_tester(tester_folder, options)
    assert told["outcome"] == "success", told
    uid = tester_folder.stat().st_uid
    assert told["files"] == {"uid.txt": [uid, f"{uid}\n"], "d/x.txt": [uid, "x\n"]}


@needs_tester
@pytest.mark.needs("podman", "root")
def test_what_the_agent_makes_in_rootless_podman_belongs_to_its_user(tester_folder):
    image = rootless_agent_image()
    options = {"mode": "podman", "api": "script:demo", "image": image, "env": {"AGENT": WORK}}
    told = told_by_tester(tester_folder, options)
    assert told["outcome"] == "success", told
    assert told["files"] == {"uid.txt": [TESTER, "1234\n"], "d/x.txt": [TESTER, "x\n"]}


@needs_tester
@pytest.mark.needs("docker", "root")
def test_in_rootless_docker_the_agent_is_root_of_nothing_and_its_files_are_the_callers(tester_folder):
    subprocess.run(["docker", "-H", ROOTLESS_DOCKER, "load"], input=saved(agent_image("docker")), check=True)
    capabilities = "grep CapBnd /proc/self/status >caps.txt"
    options = {"mode": "docker", "api": "script:demo", "image": AGENT_IMAGE}
    options["env"] = {"AGENT": f"init; {capabilities}; id -u >uid.txt; result"}
    told = told_by_tester(tester_folder, options, DOCKER_HOST=ROOTLESS_DOCKER)
    assert told["outcome"] == "success", told
    assert told["files"] == {"uid.txt": [TESTER, "0\n"], "caps.txt": [TESTER, f"CapBnd:\t{0:016}\n"]}


@needs_tester
@pytest.mark.needs("docker", "root")
@pytest.mark.parametrize("network", ["open", "none"])
def test_the_real_agent_works_in_rootless_docker(tester_folder, network):
    options = {"mode": "docker", "image": "node:22-slim", "network": network} | DEMO
    program = Path(sys.executable).parent
    path = f"{program}:{os.defpath}"
    told = told_by_tester(tester_folder, options, DOCKER_HOST=ROOTLESS_DOCKER, PATH=path)
    assert told["outcome"] == "success", told
    assert {who for who, _ in told["files"].values()} == {TESTER}


def saved(image: str) -> bytes:
    return subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout


@needs_tester
@ordinary_users
@pytest.mark.needs("bubblewrap", "root")
def test_what_the_agent_makes_behind_bubblewrap_belongs_to_an_ordinary_user(tester_folder):
    agent = Path(__file__).parent.parent / "doubles" / "agent"
    options = {"mode": "local", "api": "script:demo", "env": {"AGENT": WORK}}
    told = told_by_tester(tester_folder, options, PATH=f"{agent}:{os.defpath}")
    assert told["outcome"] == "success", told
    uid = tester_folder.stat().st_uid
    assert told["files"] == {"uid.txt": [uid, f"{uid}\n"], "d/x.txt": [uid, "x\n"]}


@needs_tester
@pytest.mark.needs("docker", "podman", "root")
@pytest.mark.parametrize("mode", ["docker", "podman"])
def test_a_workspace_that_only_a_group_of_the_callers_can_enter_is_brought_there_and_back(
    tester_folder, mode
):
    image = agent_image("docker") if mode == "docker" else rootless_agent_image()
    workspace = tester_folder / "workspace"
    shutil.chown(workspace, "root", "docker")
    workspace.chmod(0o770)
    (workspace / "old.txt").write_text("old\n")
    options = {"mode": mode, "api": "script:demo", "image": image, "env": {"AGENT": WORK}}
    told = told_by_tester(tester_folder, options)
    assert told["outcome"] == "success", told
    assert {name: who for name, (who, _) in told["files"].items()} == {
        "old.txt": TESTER,
        "uid.txt": TESTER,
        "d/x.txt": TESTER,
    }


@needs_tester
@pytest.mark.needs("docker", "root")
def test_a_workspace_that_the_agent_may_only_read_is_a_sentence(tester_folder):
    workspace = tester_folder / "workspace"
    # The caller writes there by its group, which a container's user hasn't got.
    shutil.chown(workspace, "root", "docker")
    workspace.chmod(0o775)
    image = agent_image("docker")
    options = {"mode": "docker", "api": "script:demo", "image": image, "env": {"AGENT": WORK}}
    done = as_tester(tester_folder, options)
    assert done.stderr.strip().endswith(f"the agent can't write in {workspace}; change its permissions")
    assert list(workspace.iterdir()) == []
    assert Store(tester_folder / "home").places_left() == []


@needs_tester
@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("permissions", "says"),
    [
        (0o755, "can't be written by you; name another folder, or say copy=True"),
        (0o733, "can't be read by you; name another folder"),
        (0o766, "can't be read by you; name another folder"),
    ],
)
def test_a_workspace_that_the_caller_may_not_use_is_refused(tester_folder, permissions, says):
    workspace = tester_folder / "workspace"
    shutil.chown(workspace, "root", "root")
    workspace.chmod(permissions)
    done = as_tester(tester_folder, {"mode": "local", "api": "script:demo"})
    assert done.stderr.strip().endswith(f"workspace {workspace} {says}")
    assert Store(tester_folder / "home").runs() == []


@needs_tester
@pytest.mark.needs("root", "docker")
def test_of_a_workspace_that_the_caller_may_only_read_a_copy_can_be_worked_on(tester_folder):
    workspace = tester_folder / "workspace"
    (workspace / "below").mkdir()
    for folder in (workspace, workspace / "below"):
        shutil.chown(folder, "root", "root")
        folder.chmod(0o555)
    work = "init; echo x >made.txt; echo x >below/made.txt; result"
    options = {"mode": "docker", "api": "script:demo", "image": agent_image("docker"), "copy": True}
    done = as_tester(tester_folder, options | {"env": {"AGENT": work}})
    assert done.stderr == ""
    (row,) = Store(tester_folder / "home").runs()
    assert {file.path for file in row.record.files} == {"made.txt", "below/made.txt"}
    assert [path.name for path in workspace.iterdir()] == ["below"]


@needs_tester
@pytest.mark.needs("root")
@pytest.mark.parametrize("mode", ["docker", "podman", "local"])
def test_a_list_of_hosts_holds_for_an_ordinary_user(tester_folder, mode):
    require("bubblewrap" if mode == "local" else mode)
    doubles = Path(__file__).parent.parent / "doubles"
    workspace = tester_folder / "workspace"
    for name in ("get.mjs", "escape.pl"):
        shutil.copy(doubles / "network" / name, workspace)
    images = {"docker": lambda: agent_image("docker"), "podman": rootless_agent_image, "local": lambda: None}
    tries = "node get.mjs https://b.example/ -; perl escape.pl raw=raw: name=name:b.example"
    options = {
        "mode": mode,
        "api": "script:demo",
        "image": images[mode](),
        "env": {"AGENT": "init; result"},
        "network": ["a.example"],
        "check": f"{tries}; cut -d: -f1 /proc/net/dev",
    }
    told = told_by_tester(tester_folder, options, PATH=f"{doubles / 'agent'}:{os.defpath}")
    assert told["outcome"] == "success", told
    refused, *rest = told["check"].splitlines()
    assert refused.startswith("403 ccnb: network policy of this run doesn't allow b.example:443")
    assert rest[:2] == ["raw: shut", "name: shut"]
    assert "lo" in [line.strip() for line in rest]
    assert "eth0" not in told["check"]


def rootless_agent_image() -> str:
    """Build the double's image on the tester's own engine."""
    from tests.conftest import build_agent_image

    before = os.environ.get("CONTAINER_HOST")
    os.environ["CONTAINER_HOST"] = f"unix:///run/user/{TESTER}/podman/podman.sock"
    try:
        return build_agent_image(connect("podman"))
    finally:
        os.environ.pop("CONTAINER_HOST")
        if before:
            os.environ["CONTAINER_HOST"] = before


def hidden_from_engine(folder: Path, options: dict, prepare: str = "true", **env: str):
    """Run a client to whom a folder, once it is prepared, is another one than to the engine."""
    inner = f'mount -t tmpfs none {folder} && {prepare} && exec {sys.executable} -c "$0" "$1"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", inner, CLIENT, json.dumps(options)],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.needs("root", "unshare")
def test_folders_that_the_engine_cannot_see_go_as_archives(home, places, engine_mode):
    hidden, outside = home / "hidden", home / "outside"
    hidden.mkdir()
    outside.mkdir()
    commands = (
        "init; say hello; cat old.txt >&2; rm old.txt; mkdir d; echo new >d/new.txt; ln -s d link; "
        "ln -s /etc/passwd far; ln d/new.txt d/hard.txt; mkfifo pipe; rm mine; mkdir mine; echo x >mine/x; "
        "result"
    )
    options = {
        "mode": engine_mode,
        "api": "script:demo",
        "image": agent_image(engine_mode),
        "env": {"AGENT": commands},
        "workspace": f"{hidden}/workspace",
        "check": "ls",
    }
    prepare = (
        f"mkdir {hidden}/workspace && echo old >{hidden}/workspace/old.txt && "
        f"ln -s {outside} {hidden}/workspace/mine"
    )
    done = hidden_from_engine(hidden, options, prepare, CCNB_HOME=f"{hidden}/home")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outcome"] == "success", told
    assert told["texts"] == ["", "hello", "done"]
    assert {name: text for name, (_, text) in told["files"].items()} == {
        "d/hard.txt": "new\n",
        "d/new.txt": "new\n",
        "far": Path("/etc/passwd").read_text(),
        "mine/x": "x\n",
    }
    assert {who for who, _ in told["files"].values()} == {os.getuid()}
    assert list(outside.iterdir()) == []
    assert sorted(map(tuple, told["changes"])) == [
        ("d/hard.txt", "made"),
        ("d/new.txt", "made"),
        ("far", "made"),
        ("link", "made"),
        ("mine", "removed"),
        ("mine/x", "made"),
        ("old.txt", "removed"),
    ]
    assert told["check"] == "d\nfar\nlink\nmine\npipe\n"


@pytest.mark.needs("root", "unshare")
def test_another_folder_of_the_same_name_is_not_taken_for_the_workspace(home, places, engine_mode):
    # The engine mounts it, and the agent could go there and write: the file that isn't there tells.
    workspace = home / "workspace"
    workspace.mkdir()
    workspace.chmod(0o777)
    (workspace / "beneath.txt").write_text("beneath\n")
    options = {
        "mode": engine_mode,
        "api": "script:demo",
        "image": agent_image(engine_mode),
        "env": {"AGENT": "init; cat old.txt >new.txt; result"},
        "workspace": str(workspace),
    }
    done = hidden_from_engine(workspace, options, f"echo old >{workspace}/old.txt")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outcome"] == "success", told
    assert {name: text for name, (_, text) in told["files"].items()} == {
        "old.txt": "old\n",
        "new.txt": "old\n",
    }
    assert [path.name for path in workspace.iterdir()] == ["beneath.txt"]
    wait_for(lambda: places(engine_mode) == [])


@pytest.mark.needs("root", "unshare")
def test_the_real_agent_works_where_the_engine_cannot_see_our_folders(home, engine_mode):
    hidden = home / "hidden"
    hidden.mkdir()
    options = {"mode": engine_mode, "api": "script:demo", "check": "sh wordcount.sh sample.txt"}
    done = hidden_from_engine(hidden, options, CCNB_HOME=f"{hidden}/home")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["outcome"], told["check"]) == ("success", "6\n"), told


def test_the_limits_hold(home, places, engine_mode, agent):
    result = ccnb.run(
        "Do it",
        keep=True,
        memory_mb=300,
        cpus=0.5,
        max_processes=50,
        **agent(engine_mode, "init; for i in $(seq 100); do sleep 1 & done 2>/dev/null; result"),
    )
    place = Store(home).place(result.run_id)
    host = connect(engine_mode).inspect(place["id"])["HostConfig"]
    assert (host["Memory"], host["PidsLimit"]) == (300 * 2**20, 50)
    assert host["NanoCpus"] == 5e8 or host["CpuQuota"] == 50_000
    assert host["Init"] is True
    assert not host["Privileged"]
    assert not host["CapAdd"]
    ccnb.sweep(older_than_s=0)


def test_the_limit_on_open_files_holds(home, places, engine_mode, agent):
    result = run_until_clean(places, check="ulimit -Sn; ulimit -Hn", **agent(engine_mode, "init; result"))
    assert result.check.output.split() == ["20000", "20000"]


def test_running_out_of_memory_is_told_from_a_crash(home, places, engine_mode, agent):
    result = ccnb.run("Do it", memory_mb=64, **agent(engine_mode, "init; exec tail /dev/zero"))
    assert (result.outcome, result.error.kind) == ("agent_error", "out_of_memory")


@pytest.fixture
def podman_at(monkeypatch, tmp_path):
    """Return a context in which Podman serves at a socket of its own, the current engine's.

    After it the service is gone as if it was killed, and its containers go on.
    """
    socket = tmp_path / "podman.sock"
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{socket}")

    @contextmanager
    def serving():
        socket.unlink(missing_ok=True)
        # With CONTAINER_HOST in its environment podman would be a client itself.
        env = {name: value for name, value in os.environ.items() if name != "CONTAINER_HOST"}
        command = ["podman", "system", "service", "--time=0", f"unix://{socket}"]
        with subprocess.Popen(command, env=env, cwd=tmp_path) as service:
            try:
                wait_for(lambda: answers(socket))
                yield f"unix://{socket}"
            finally:
                service.kill()

    return serving


@pytest.mark.needs("podman", "root")
def test_an_engine_that_goes_away_costs_nothing_that_the_agent_did(home, places, agent, podman_at):
    with podman_at():
        handle = ccnb.start("Do it", **agent("podman", "init; sleep 3; echo x >x.txt; result"))
        wait_for(lambda: len(handle.events) == 1)
    result = handle.result()
    assert (result.outcome, [f.path for f in result.files]) == ("success", ["x.txt"])
    wait_for(lambda: Store(home).run(result.run_id).record.timings.cleanup_s is not None)
    with podman_at():
        assert "ccnb sweep" in Store(home).run(result.run_id).record.warnings[-1]
        assert [s.removed for s in ccnb.sweep() if s.mode == "podman"] == [True]
        assert places("podman") == []


@pytest.mark.needs("podman", "root")
def test_a_run_that_ended_is_collected_though_its_engine_is_away(home, places, agent, podman_at):
    with podman_at():
        run_id = killed_at_first_event(agent("podman", "init; sleep 2; echo x >x.txt; result"))
    wait_for(lambda: "finished" in (Store(home).folder(run_id).inside / "steps").read_text())
    result = ccnb.attach(run_id).result()
    assert (result.outcome, [f.path for f in result.files]) == ("success", ["x.txt"])
    wait_for(lambda: Store(home).run(run_id).record.timings.cleanup_s is not None)
    with podman_at():
        assert [s.removed for s in ccnb.sweep() if s.mode == "podman"] == [True]
        assert places("podman") == []


@pytest.mark.needs("podman", "root")
def test_sweep_reaches_places_of_an_engine_that_is_no_longer_the_current_one(
    home, places, agent, podman_at, monkeypatch, tmp_path
):
    with podman_at():
        killed_at_first_event(agent("podman", "init; sleep 100"))
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/other.sock")
    (swept,) = ccnb.sweep(older_than_s=0)
    assert not swept.removed
    assert "podman" in swept.why
    with podman_at() as address:
        assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]
        monkeypatch.setenv("CONTAINER_HOST", address)
        assert places("podman") == []


def test_what_a_client_leaves_that_is_killed_as_it_copies_the_program_is_swept(
    home, places, engine_mode, monkeypatch
):
    # A script can't be mounted, so the program comes out of the project's image.
    monkeypatch.setenv("PATH", f"{DOUBLES / 'agent'}:{os.environ['PATH']}")
    options = {"mode": engine_mode, "image": "node:22-slim"} | DEMO
    engine = connect(engine_mode)
    copies = [f"ccnb.copy={store_id(Store(home))}"]
    # A pipe that nobody reads: however fast the machine is, the copying doesn't come to its end.
    scratch = home / "agent" / default_reference().rpartition(":")[2] / "claude.new"
    scratch.parent.mkdir(parents=True)
    os.mkfifo(scratch)
    process = client(options)
    # The project's image may have to be built first.
    wait_for(lambda: engine.list(copies), limit_s=600)
    assert ccnb.sweep() == []
    assert len(engine.list(copies)) == 1
    kill(process)
    assert [(s.run_id, s.mode, s.removed) for s in ccnb.sweep()] == [("copy-of-claude", engine_mode, True)]
    assert engine.list(copies) == []
    scratch.unlink()
    result = run_until_clean(places, **options)
    assert (result.outcome, result.check.passed) == ("success", True)


def test_a_container_removed_behind_our_back_is_a_lost_run(home, places, engine_mode, agent):
    handle = ccnb.start("Do it", **agent(engine_mode, "init; sleep 60; result"))
    wait_for(lambda: len(handle.events) == 1)
    connect(engine_mode).remove(Store(home).place(handle.run_id)["id"])
    result = handle.result()
    assert (result.outcome, result.error.kind) == ("lost", "place_lost")
    assert AGENT_IMAGE in result.conditions["image"]


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize("network", ["none", ["a.example"]])
def test_a_closed_network_is_refused_where_the_engine_cannot_see_the_gateways_socket(
    home, engine_mode, network
):
    hidden = home / "hidden"
    hidden.mkdir()
    options = {"mode": engine_mode, "api": "script:demo", "network": network}
    assert_refused(hidden_from_engine(hidden, options, CCNB_HOME=f"{hidden}/home"))


def assert_refused(done: subprocess.CompletedProcess) -> None:
    last = done.stderr.strip().splitlines()[-1]
    assert "can't be held here: this engine" in last
    assert last.endswith("use network='open', or an engine of this machine")


def on_another_kernel(options: dict) -> subprocess.CompletedProcess:
    """Run a client that sees another kernel than its engine has, as beside one in a virtual machine."""
    command = ["setarch", "--uname-2.6", sys.executable, "-c", CLIENT, json.dumps(options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.needs("setarch")
@pytest.mark.parametrize("network", ["none", ["a.example"]])
def test_a_closed_network_is_refused_where_the_engine_has_a_kernel_of_its_own(home, engine_mode, network):
    assert_refused(on_another_kernel({"mode": engine_mode, "api": "script:demo", "network": network}))
    assert ccnb.runs()[0].record.outcome == "infrastructure"


@pytest.mark.needs("setarch")
def test_an_engine_with_a_kernel_of_its_own_finds_the_gateway_by_the_hosts_name(home, places, engine_mode):
    agent = {"image": agent_image(engine_mode), "env": {"AGENT": "init; say $ANTHROPIC_BASE_URL; result"}}
    done = on_another_kernel({"mode": engine_mode, "api": "script:demo"} | agent)
    assert done.returncode == 0, done.stderr
    _, url, _ = json.loads(done.stdout)["texts"]
    name = {"docker": "host.docker.internal", "podman": "host.containers.internal"}[engine_mode]
    ((address, port),) = gateway_listens(home)
    assert (url, address) == (f"http://{name}:{port}", "127.0.0.1")
    wait_for(lambda: places(engine_mode) == [])
