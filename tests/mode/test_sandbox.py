"""Docker's two programs for sandboxes, on doubles: which is taken, and what is made of what it says."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb import _loop
from ccnb.errors import EngineError, ModeUnavailableError
from ccnb.mode import get as get_mode
from ccnb.mode._docker_sandbox import DockerSandbox
from ccnb.mode._sandbox_call import Answer, first_json, known_trouble
from ccnb.mode._sandbox_names import lasting_of, name_for_run, name_that_lasts, run_of
from ccnb.mode._sbx import Sbx


@pytest.fixture
def probe(sandboxes, monkeypatch, tmp_path):
    """Return a function that probes the mode where only some programs of the double are on PATH."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def look(*programs):
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        for tool in ("env", "python3", "sh"):
            if not (tools / tool).exists():
                (tools / tool).symlink_to(
                    next(p for p in (f"/usr/bin/{tool}", f"/bin/{tool}") if Path(p).exists())
                )
        sandboxes.install(*programs)
        monkeypatch.setenv("PATH", f"{sandboxes.bin}:{tools}")
        return _loop.submit(get_mode("sandbox").probe()).result()

    return look


@pytest.fixture
def chosen(sandboxes):
    """Choose a network policy, as a person does once."""
    sandboxes.call("policy", "init", "balanced")


def test_sbx_is_taken_where_both_are(probe, chosen):
    found = probe("sbx", "docker")
    assert (found.ready, found.version) == (True, "0.53.0")
    assert "sbx" in found.facts["where"]


def test_docker_sandbox_is_taken_where_there_is_no_sbx(probe):
    found = probe("docker")
    assert (found.ready, found.version) == (True, "0.12.0")
    assert "docker sandbox" in found.facts["where"]


def test_neither_program(probe):
    found = probe()
    assert not found.ready
    assert found.why == "neither sbx nor docker is installed"
    assert found.next_action == "install sbx (docs.docker.com/ai/sandboxes), or Docker Desktop 4.58 or newer"


def test_docker_without_the_plugin(probe, monkeypatch):
    monkeypatch.setenv("CCNB_DOUBLE_PLUGIN", "none")
    found = probe("docker")
    assert (found.ready, found.why) == (False, "docker has no command `sandbox` here")
    assert "Docker Desktop 4.58" in found.next_action


def test_an_older_docker_says_the_same_in_other_words(tmp_path, monkeypatch):
    said = tmp_path / "docker"
    said.write_text("#!/bin/sh\necho \"docker: 'sandbox' is not a docker command.\" >&2; exit 1\n")
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ModeUnavailableError, match=r"^docker has no command `sandbox` here; install sbx"):
        DockerSandbox().check()


@pytest.mark.needs("docker")
@pytest.mark.skipif(
    Path("~/.docker/cli-plugins/docker-sandbox").expanduser().exists(), reason="has the plugin"
)
def test_a_real_docker_without_the_plugin(home, monkeypatch, tmp_path):
    (tmp_path / "docker").symlink_to(shutil.which("docker"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = _loop.submit(get_mode("sandbox").probe()).result()
    assert (found.ready, found.why) == (False, "docker has no command `sandbox` here")


def test_the_old_plugin_that_made_containers_is_refused(probe, monkeypatch):
    monkeypatch.setenv("CCNB_DOUBLE_PLUGIN", "old")
    found = probe("docker")
    assert not found.ready
    assert "makes containers, not microVMs" in found.why
    assert found.next_action == "update to Docker Desktop 4.58 or newer, or install sbx"


TROUBLE = {
    "signed-out": ("aren't signed in to Docker", "run `sbx login`"),
    "no-policy": ("has no network policy yet", "run `sbx policy init balanced`"),
    "no-daemon": ("sbx's daemon doesn't answer", "run `sbx daemon restart`"),
    "unknown": ("flux capacitor discharged (code 88)", "run `sbx diagnose`"),
    "hang:ls": ("`sbx ls` has not answered within 6 s", "run `sbx daemon restart`"),
}


@pytest.mark.parametrize("fault", TROUBLE)
def test_what_a_person_can_mend_is_told_with_how(probe, chosen, sandboxes, monkeypatch, fault):
    if fault.startswith("hang"):
        monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "6")
    sandboxes.faults(fault)
    found = probe("sbx")
    why, action = TROUBLE[fault]
    assert not found.ready
    assert why in found.why
    assert found.next_action == action


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: You are not authenticated to Docker. Please sign in again.",
        "no valid user session found, please sign in to Docker to proceed",
        "ERROR: list sandboxes: request failed: 401 Unauthorized\n\nSign in with: sbx login\n",
    ],
)
def test_who_is_not_signed_in_is_known_by_any_of_its_wordings(said):
    told = known_trouble(Answer(1, b"", said), "sbx", restart="restart it")
    assert told == "you aren't signed in to Docker, which sbx needs; run `sbx login`"


@pytest.mark.parametrize("fault", ["signed-out", "no-policy", "no-daemon"])
def test_trouble_is_told_though_a_banner_comes_before_it(probe, chosen, sandboxes, fault):
    sandboxes.faults("banner", fault)
    assert probe("sbx").next_action == TROUBLE[fault][1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a device")
def test_a_machine_without_virtualisation(probe, chosen, monkeypatch, tmp_path):
    monkeypatch.setenv("CCNB_KVM", str(tmp_path / "kvm"))
    found = probe("sbx")
    assert (found.ready, found.why) == (
        False,
        f"sbx makes virtual machines, and this machine has no {tmp_path}/kvm",
    )
    assert found.next_action == "turn virtualisation on in its firmware, or use mode docker"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a device")
def test_virtualisation_that_is_not_the_persons_to_use(probe, chosen, monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "kvm"))
        monkeypatch.setenv("CCNB_KVM", str(tmp_path / "kvm"))
        found = probe("sbx")
    assert "kvm can't be opened (No such device or address)" in found.why
    assert found.next_action.startswith("run `sudo usermod -aG kvm $USER` and log in again")


def test_a_limit_that_is_no_time(probe, chosen, monkeypatch):
    monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "soon")
    found = probe("sbx")
    assert found.why == "CCNB_SANDBOX_LIMIT_S is 'soon', which is no time"
    assert found.next_action == "give it seconds above zero"


def test_a_docker_desktop_that_is_not_running(probe, sandboxes):
    sandboxes.faults("no-daemon")
    found = probe("docker")
    assert found.why == "docker sandbox's daemon doesn't answer"
    assert found.next_action == "start Docker Desktop, or restart it"


def test_the_secret_that_sbx_needs_is_asked_for_once(probe, chosen, sandboxes):
    (note,) = probe("sbx").notes
    assert "run `sbx secret set anthropic` once" in note
    sandboxes.call("secret", "set", "anthropic", text="sk-ant-api03-test")
    assert probe().notes == ()


def test_the_variable_that_docker_desktop_needs_is_looked_for_by_name(probe, tmp_path):
    (note,) = probe("docker").notes
    assert "restart Docker Desktop" in note
    (tmp_path / ".zshrc").write_text("export ANTHROPIC_API_KEY=sk-ant-api03-test\n")
    assert probe().notes == ()


@pytest.mark.parametrize(
    ("version", "words"),
    [("4.58.1", "401 Invalid bearer token"), ("4.60.0", "before 4.61"), ("4.61.0", None), ("5.0.0", None)],
)
def test_known_bugs_of_docker_desktops_versions_are_named(probe, monkeypatch, tmp_path, version, words):
    monkeypatch.setenv("CCNB_DOUBLE_DESKTOP", version)
    (tmp_path / ".profile").write_text("ANTHROPIC_API_KEY=x\n")
    notes = " ".join(probe("docker").notes)
    assert (words in notes) if words else (notes == "")


# What is printed


@given(st.text().filter(lambda text: "{" not in text), st.text())
def test_json_is_found_behind_a_banner_and_before_other_words(banner, rest):
    value = {"sandboxes": [{"name": "a"}]}
    assert first_json(f"{banner}{json.dumps(value)}\n{rest}".encode()) == value


@given(st.binary())
def test_any_output_at_all_is_borne(output):
    value = first_json(output)
    assert value is None or isinstance(value, dict)


LISTINGS = [
    '{"sandboxes":[]}',
    '{"vms":[]}',
    "{}",
    '{"vms":[{"name":"x","status":"Running","workspaces":["/a","/b:ro"]}]}',
    'Starting daemon...\n{"sandboxes":[{"name":"x","status":"running","workspaces":["/a","/b"],"n":1}]}',
    '{"sandboxes":[{"name":"x","status":"running","workspaces":["/a","/b"]},"odd",{"agent":"nameless"}]}',
]


@pytest.mark.parametrize("program", [Sbx, DockerSandbox])
@pytest.mark.parametrize("printed", LISTINGS)
def test_a_listing_is_read_by_either_key(tmp_path, monkeypatch, program, printed):
    said = tmp_path / program.command[0]
    said.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n")
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = [(s.name, s.status, s.folders) for s in program().listing()]
    assert found == ([("x", "running", ("/a", "/b"))] if '"x"' in printed else [])


VERSIONS = {
    "sbx version: v0.33.0 d7da69cb30eb": "0.33.0",
    "Client Version: v0.25.0 abc\nServer Version: v0.25.0 abc": "0.25.0",
    "github.com/docker/sandboxes/cli-plugin v0.7.1 f00f0d6473647c2201cd0507ce31613345c48ae6": "0.7.1",
    "something new": "?",
}


@pytest.mark.parametrize("printed", VERSIONS)
def test_versions_are_found_in_what_is_printed(tmp_path, monkeypatch, printed):
    said = tmp_path / "sbx"
    said.write_text(f"#!/bin/sh\necho '{printed}'\n")
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Sbx().version() == VERSIONS[printed]


def test_an_sbx_that_wants_the_name_before_the_hosts_is_understood(tmp_path, monkeypatch):
    said = tmp_path / "sbx"
    said.write_text(
        '#!/bin/sh\ncase $* in *--sandbox*) echo "unknown flag: --sandbox" >&2; exit 1;; esac\n'
        f'echo "$*" >{tmp_path}/said\n'
    )
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Sbx().allow("box", ["localhost:1", "a.example"])
    assert (tmp_path / "said").read_text() == "policy allow network box localhost:1,a.example\n"


def test_what_is_left_of_a_sandbox_whose_making_hangs_is_removed(tmp_path, monkeypatch):
    said = tmp_path / "sbx"
    said.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/said\ncase $1 in create) sleep 60;; esac\n')
    said.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    # Even a shell that says a word takes a moment where much goes on.
    monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "0.3")
    with pytest.raises(EngineError, match=r"^`sbx create` has not answered within 18 s; run `sbx daemon"):
        Sbx().create("box", ["/a"], image=None)
    assert (tmp_path / "said").read_text().splitlines() == [
        "create --name box claude /a",
        "stop box",
        "rm --force box",
    ]


# Names


@given(
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True), st.from_regex(r"\d{6}-\d{6}-[a-z2-9]{5}", fullmatch=True)
)
def test_a_sandboxs_name_leads_back_to_its_run_and_to_no_other_store(store, run):
    name = name_for_run(store, run)
    assert len(name) <= 30
    assert run_of(name, store) == run
    assert run_of(name, "zzzzzz") is None
    assert lasting_of(name, store) is None


@given(st.from_regex(r"[0-9a-f]{12}", fullmatch=True), st.from_regex(r"[a-z][a-z0-9-]{0,17}", fullmatch=True))
def test_a_lasting_sandbox_is_known_by_its_name_and_taken_for_no_run(store, word):
    name = name_that_lasts(store, word)
    assert len(name) <= 30
    assert lasting_of(name, store) == word
    assert lasting_of(name, "zzzzzz") is None
    assert run_of(name, store) is None


@pytest.mark.parametrize(
    "name", ["claude-proj", "ccnb-", "ccnb-abcdef-1", "my-ccnb-0123ab-261124101010abcde"]
)
def test_other_peoples_sandboxes_are_not_ours(name):
    assert run_of(name, "0123ab") is None
    assert lasting_of(name, "0123ab") is None
