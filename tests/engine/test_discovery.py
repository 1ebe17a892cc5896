"""Where engines are looked for: the person's own choice first, then the usual places."""

from __future__ import annotations

import hashlib
import json

import pytest

from ccnb.engine import connect, endpoints
from ccnb.engine.discovery import Endpoint
from ccnb.errors import EngineError


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Be a person with an empty home who has said nothing."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def use_context(folder, name, host):
    """Write a docker context as `docker context create` does, and make it the current one."""
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    context = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (meta / "meta.json").write_text(json.dumps(context))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("unix:///var/run/docker.sock", False),
        ("tcp://localhost:2375", False),
        ("tcp://[::1]:2375", False),
        ("tcp://build.example.org:2376", True),
        ("ssh://me@build.example.org", True),
    ],
)
def test_an_engine_is_remote_when_its_address_is_no_part_of_this_machine(url, remote):
    assert Endpoint(url, "DOCKER_HOST").remote is remote


def test_docker_host_is_the_only_word_when_it_is_set(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere.sock")
    assert [(e.url, e.origin) for e in endpoints("docker")] == [("unix:///somewhere.sock", "DOCKER_HOST")]


def test_the_current_context_comes_before_the_usual_places(tmp_path):
    use_context(tmp_path / "docker", "mine", "unix:///mine.sock")
    assert endpoints("docker")[0].url == "unix:///mine.sock"
    assert endpoints("docker")[0].origin == "docker context 'mine'"


@pytest.mark.parametrize(
    ("kind", "place", "origin"),
    [
        ("docker", ".docker/run/docker.sock", "Docker Desktop"),
        ("docker", ".colima/default/docker.sock", "Colima"),
        ("docker", ".orbstack/run/docker.sock", "OrbStack"),
        ("docker", ".rd/docker.sock", "Rancher Desktop"),
        ("docker", "run/docker.sock", "rootless Docker"),
        ("podman", "run/podman/podman.sock", "rootless Podman"),
        ("podman", ".local/share/containers/podman/machine/podman.sock", "podman machine"),
    ],
)
def test_a_socket_in_a_usual_place_is_found(tmp_path, kind, place, origin):
    socket = tmp_path / place
    assert f"unix://{socket}" not in [e.url for e in endpoints(kind)]
    socket.parent.mkdir(parents=True)
    socket.touch()
    assert (f"unix://{socket}", origin) in [(e.url, e.origin) for e in endpoints(kind)]


def test_a_broken_context_is_passed_over(tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text("{")
    assert all("context" not in e.origin for e in endpoints("docker"))


@pytest.mark.needs("docker")
def test_the_engine_behind_a_context_answers(tmp_path):
    use_context(tmp_path / "docker", "mine", "unix:///var/run/docker.sock")
    assert connect("docker").version


@pytest.mark.needs("podman")
def test_podman_is_not_taken_for_docker(monkeypatch):
    socket = connect("podman").endpoint.url
    monkeypatch.setenv("DOCKER_HOST", socket)
    with pytest.raises(EngineError, match="answers as another engine"):
        connect("docker")
    assert connect("podman").is_podman


def test_nobody_there_is_one_sentence_with_the_next_action(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineError) as told:
        connect("docker")
    assert "unix:///nowhere/docker.sock (DOCKER_HOST): no such socket" in told.value.message
    assert told.value.message.endswith("start Docker Desktop, or `sudo systemctl start docker`")
