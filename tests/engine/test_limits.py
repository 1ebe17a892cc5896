"""What an engine says that it can't hold is left out and told; what SELinux needs is asked for."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import ccnb
from ccnb import _loop
from ccnb.engine import connect
from ccnb.mode import get as get_mode
from ccnb.store import Store

pytestmark = pytest.mark.needs("docker")

LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "cpus", "PidsLimit": "processes"}


class Between(BaseHTTPRequestHandler):
    """Passes each request on to the real engine, and changes what that says of itself."""

    server: Any

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        engine = HTTPConnection("engine")
        engine.sock = socket.socket(socket.AF_UNIX)
        engine.sock.connect(str(self.server.engine))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        engine.request(self.command, self.path, body, headers)
        answer = engine.getresponse()
        content = answer.read()
        engine.close()
        if self.path.endswith("/info"):
            content = json.dumps(json.loads(content) | self.server.changes).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(Between, f"do_{method}", Between.pass_on)


@pytest.fixture
def engine_says(home, monkeypatch) -> Iterator[Callable[..., None]]:
    """Return a function by which the engine that is found says something else of itself."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        server.engine, server.changes = connect("docker").endpoint.socket, {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield lambda **changes: server.changes.update(changes)
        ccnb.sweep(older_than_s=0)
        server.shutdown()


@pytest.fixture
def host_config(home, agent) -> Callable[[], tuple[ccnb.RunResult, dict[str, Any]]]:
    """Return a function that runs with all limits; it returns the result, and how the container was made."""

    def run():
        limits = {"memory_mb": 300, "cpus": 0.5, "max_processes": 50}
        result = ccnb.run("Do it", keep=True, **limits, **agent("docker", "init; result"))
        assert result.outcome == "success", result.error
        container = Store(home).place(result.run_id)["id"]
        return result, connect("docker").inspect(container)["HostConfig"]

    return run


@pytest.mark.parametrize("flag", LIMITS)
def test_a_limit_that_the_engine_ignores_is_left_out_and_told(engine_says, host_config, flag):
    engine_says(**{flag: False})
    notes = _loop.submit(get_mode("docker").probe()).result().notes
    assert notes == (f"the engine ignores the limit on {LIMITS[flag]}",)
    result, made = host_config()
    assert result.conditions["ignored_limits"] == LIMITS[flag]
    set_limits = {"memory": made["Memory"], "cpus": made["NanoCpus"], "processes": made["PidsLimit"]}
    assert not set_limits.pop(LIMITS[flag])
    assert all(set_limits.values())


def test_an_engine_that_holds_them_all_has_nothing_to_tell(engine_says, host_config):
    assert _loop.submit(get_mode("docker").probe()).result().notes == ()
    result, made = host_config()
    assert "ignored_limits" not in result.conditions
    assert made["SecurityOpt"] == ["no-new-privileges"]


def test_where_selinux_guards_files_the_container_has_no_label(engine_says, host_config):
    engine_says(SecurityOptions=["name=seccomp,profile=default", "name=selinux"])
    _, made = host_config()
    assert made["SecurityOpt"] == ["no-new-privileges", "label=disable"]
