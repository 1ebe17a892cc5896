"""The gateway as a process of its own: started, shared, killed, replaced, ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ccnb.errors import GatewayError
from ccnb.gateway.meeting import answers, meeting
from ccnb.gateway.process import Address, ensure, stop
from ccnb.gateway.registration import Registration, register, unregister
from tests.waiting import gateway_listens, gateway_pid, is_alive, kill_gateway, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder for temporary files of this test's own; pytest's has a path too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="gw", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path, temporary: Path) -> Iterator[Path]:
    """Return a store; its gateway is ended afterwards."""
    home = tmp_path / "home"
    yield home
    stop(home)


def enter(home: Path, run_id: str = "r1", script: str = "- Hello", seconds: float = 60) -> Registration:
    """Register a run with a script given as text."""
    path = home.parent / f"{run_id}.yaml"
    path.write_text(script)
    return register(home, run_id, api=f"script:{path}", workspace="/w", until=time.time() + seconds)


def call(address: Address, key: str, **more: object) -> httpx.Response:
    """Make one call over the unix socket, or over TCP when the address has a port."""
    if address.port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{address.port}", timeout=60)
    else:
        transport = httpx.HTTPTransport(uds=str(address.socket))
        client = httpx.Client(base_url="http://localhost", transport=transport, timeout=60)
    body = {"model": "m", "messages": [{"role": "user", "content": "go"}], "tools": [{"name": "Bash"}]}
    with client:
        return client.post("/v1/messages", headers={"x-api-key": key}, json={**body, **more})


@contextlib.contextmanager
def waiting(address: Address, key: str) -> Iterator[None]:
    """Ask, and go away again without having read a word."""
    body = json.dumps({"model": "m", "messages": [], "tools": [1], "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(address.socket))
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        yield


def lines(home: Path, run_id: str = "r1") -> list[dict[str, Any]]:
    path = home / "runs" / run_id / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class TestStarting:
    def test_it_starts_and_answers(self, home: Path) -> None:
        run = enter(home)
        address = ensure(home)
        assert call(address, run.key).json()["content"][0]["text"] == "Hello"
        assert address.port is None

    def test_the_second_time_it_is_only_found(self, home: Path) -> None:
        enter(home)
        first, pid = ensure(home), gateway_pid(home)
        assert ensure(home) == first
        assert gateway_pid(home) == pid

    def test_many_clients_start_one(self, home: Path) -> None:
        enter(home)
        code = (
            "import sys; from pathlib import Path; from ccnb.gateway.process import ensure;"
            "print(ensure(Path(sys.argv[1])).socket)"
        )
        command = [sys.executable, "-c", code, str(home)]
        clients = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        sockets = {client.communicate(timeout=120)[0] for client in clients}
        assert len(sockets) == 1
        assert "another gateway" not in (home / "gateway.log").read_text()
        assert gateways(home) == [gateway_pid(home)]

    def test_many_threads_start_one(self, home: Path) -> None:
        enter(home)
        with ThreadPoolExecutor(4) as pool:
            addresses = set(pool.map(lambda _: ensure(home), range(4)))
        assert len(addresses) == 1
        assert gateways(home) == [gateway_pid(home)]

    def test_it_starts_from_a_client_that_has_many_files_open(self, home: Path) -> None:
        enter(home)
        code = (
            "import os, resource, sys; from pathlib import Path; from ccnb.gateway.process import ensure;"
            "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most));"
            "kept = [os.open('/', os.O_RDONLY) for _ in range(1_100)];"
            "print(ensure(Path(sys.argv[1])).socket)"
        )
        command = [sys.executable, "-c", code, str(home)]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (said.returncode, said.stderr) == (0, "")

    def test_it_is_not_ours_to_lose(self, home: Path) -> None:
        run = enter(home)
        code = (
            "import os, signal, sys; from pathlib import Path; from ccnb.gateway.process import ensure;"
            "ensure(Path(sys.argv[1])); os.killpg(0, signal.SIGKILL)"
        )
        command = [sys.executable, "-c", code, str(home)]
        died = subprocess.run(command, cwd=ROOT, start_new_session=True, check=False)
        assert died.returncode == -signal.SIGKILL
        pid = gateway_pid(home)
        assert os.getsid(pid) not in {pid, os.getsid(0)}
        assert call(ensure(home), run.key).status_code == 200
        assert gateway_pid(home) == pid

    @pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    def test_a_client_killed_while_it_starts_one_leaves_the_next_a_gateway(
        self, home: Path, delay_s: float
    ) -> None:
        run = enter(home)
        code = (
            "import sys; from pathlib import Path; from ccnb.gateway.process import ensure;"
            "print(flush=True); ensure(Path(sys.argv[1]))"
        )
        command = [sys.executable, "-c", code, str(home)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            client.stdout.readline()
            time.sleep(delay_s)
            client.kill()
        assert call(ensure(home), run.key).status_code == 200
        assert "Traceback" not in (home / "gateway.log").read_text()
        wait_for(lambda: gateways(home) == [gateway_pid(home)])

    def test_a_store_that_was_removed_and_made_anew_finds_it_again(self, home: Path) -> None:
        enter(home)
        first, pid = ensure(home), gateway_pid(home)
        shutil.rmtree(home)
        run = enter(home)
        assert ensure(home) == first
        assert gateway_pid(home) == pid
        assert call(first, run.key).status_code == 200

    def test_one_that_is_killed_as_it_starts_is_replaced(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The interpreter's own start-up file ends the first one before it has said anything."""
        killed = tmp_path / "killed"
        (tmp_path / "sitecustomize.py").write_text(
            "import os, pathlib, signal, sys\n"
            f"killed = pathlib.Path({str(killed)!r})\n"
            "if 'ccnb.gateway' in sys.orig_argv and not killed.exists():\n"
            "    killed.touch()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
        run = enter(home)
        assert call(ensure(home, tcp_host="127.0.0.1"), run.key).status_code == 200
        assert killed.exists()

    def test_a_start_that_fails_says_why(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        enter(home)
        monkeypatch.setenv("CCNB_GATEWAY_IDLE_S", "soon")
        with pytest.raises(GatewayError, match=r"does not start: .*'soon'.*gateway\.log"):
            ensure(home)

    def test_it_holds_no_credential_of_ours(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "FLY_API_TOKEN"):
            monkeypatch.setenv(name, "a-secret")
        run = enter(home)
        ensure(home)
        process = Path(f"/proc/{gateway_pid(home)}")
        if not process.exists():
            pytest.skip("this system shows no process's environment")
        shown = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        assert b"a-secret" not in shown
        assert run.key.encode() not in shown


class TestPermissions:
    def test_the_way_is_closed_and_the_socket_open(self, home: Path) -> None:
        enter(home)
        address = ensure(home)
        folder = address.socket_dir.parent
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, address.socket_dir)]
        assert modes == [0o700, 0o700, 0o755]
        sockets = {path.name: stat.S_IMODE(path.stat().st_mode) for path in address.socket_dir.iterdir()}
        assert sockets == {"api.sock": 0o666, "egress.sock": 0o666}
        assert stat.S_IMODE((folder / "control.sock").stat().st_mode) == 0o600

    @pytest.mark.parametrize("name", ["gateway.log", "gateway.state", "gateway.lock"])
    def test_its_files_are_private(self, home: Path, name: str) -> None:
        enter(home)
        ensure(home)
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600

    def test_a_link_in_place_of_our_folder_is_refused(self, home: Path, temporary: Path) -> None:
        (temporary / "elsewhere").mkdir()
        (temporary / f"ccnb-{os.geteuid()}").symlink_to(temporary / "elsewhere")
        enter(home)
        with pytest.raises(GatewayError, match="no folder of yours"):
            ensure(home)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_folder_of_somebody_else_is_refused(self, home: Path, temporary: Path) -> None:
        folder = temporary / f"ccnb-{os.geteuid()}"
        folder.mkdir()
        os.chown(folder, 12345, 12345)
        enter(home)
        with pytest.raises(GatewayError, match="no folder of yours"):
            ensure(home)

    def test_a_long_temporary_path_still_gives_a_short_socket(
        self, home: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = temporary / ("x" * 90)
        long.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(long))
        assert len(os.fsencode(meeting(home).socket)) <= 104


class TestDying:
    def test_a_killed_one_is_replaced_on_the_same_socket_for_the_same_keys(self, home: Path) -> None:
        run = enter(home)
        first = ensure(home)
        pid = gateway_pid(home)
        kill_gateway(home)
        assert first.socket.exists()
        assert ensure(home) == first
        assert gateway_pid(home) != pid
        assert call(first, run.key).status_code == 200

    def test_the_ports_are_the_same_again(self, home: Path) -> None:
        run = enter(home)
        first = ensure(home, tcp_host="127.0.0.1")
        kill_gateway(home)
        assert ensure(home, tcp_host="127.0.0.1") == first
        assert call(first, run.key).status_code == 200

    def test_sigterm_ends_it_cleanly(self, home: Path) -> None:
        enter(home)
        address = ensure(home)
        pid = gateway_pid(home)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(pid))
        assert not address.socket.exists()

    def test_stop_ends_it_and_says_whether(self, home: Path) -> None:
        assert stop(home) is False
        run = enter(home)
        address = ensure(home)
        assert stop(home) is True
        assert not answers(address.socket)
        assert stop(home) is False
        assert call(ensure(home), run.key).status_code == 200

    def test_stop_never_takes_a_stranger_for_it(self, home: Path) -> None:
        enter(home)
        ensure(home)
        os.kill(gateway_pid(home), signal.SIGKILL)
        state = json.loads((home / "gateway.state").read_text())
        with subprocess.Popen(["sleep", "30"]) as stranger:
            (home / "gateway.state").write_text(json.dumps({**state, "pid": stranger.pid}))
            wait_for(lambda: not stop(home))
            assert stranger.poll() is None
            stranger.kill()


class TestIdling:
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CCNB_GATEWAY_IDLE_S", "0.5")

    def test_it_ends_when_no_run_is_registered(self, home: Path) -> None:
        enter(home)
        address = ensure(home)
        pid = gateway_pid(home)
        time.sleep(1.5)
        assert is_alive(pid)
        unregister(home, "r1")
        wait_for(lambda: not is_alive(pid))
        assert not address.socket_dir.parent.exists()
        assert not (home / "gateway.state").exists()

    def test_it_goes_with_its_store_and_leaves_nothing(self, home: Path) -> None:
        enter(home)
        folder = ensure(home).socket.parent.parent
        shutil.rmtree(home)
        wait_for(lambda: not folder.exists())

    def test_an_expired_run_does_not_keep_it(self, home: Path) -> None:
        enter(home)
        ensure(home)
        pid = gateway_pid(home)
        # Only now: it may take longer to start.
        enter(home, seconds=1)
        wait_for(lambda: not is_alive(pid))

    def test_who_registers_as_it_ends_is_served(self, home: Path) -> None:
        """Come back over and over at the moment when it goes."""
        for number in range(6):
            run = enter(home, f"r{number}")
            assert call(ensure(home), run.key).status_code == 200
            unregister(home, run.run_id)
            time.sleep(0.5 + number * 0.04)


class TestPorts:
    def test_it_listens_on_tcp_too(self, home: Path) -> None:
        run = enter(home)
        address = ensure(home, tcp_host="127.0.0.1")
        assert call(address, run.key).status_code == 200

    def test_a_running_one_opens_a_port_when_asked(self, home: Path) -> None:
        run = enter(home)
        assert ensure(home).port is None
        pid = gateway_pid(home)
        address = ensure(home, tcp_host="127.0.0.1")
        assert address.port is not None
        assert ensure(home, tcp_host="127.0.0.1") == address
        assert ensure(home).port is None
        assert gateway_pid(home) == pid
        assert call(address, run.key).status_code == 200

    def test_its_port_is_none_that_another_process_may_be_given_after_its_death(self, home: Path) -> None:
        enter(home)
        address = ensure(home, tcp_host="127.0.0.1")
        given = Path("/proc/sys/net/ipv4/ip_local_port_range")
        if not given.exists():
            pytest.skip("this system doesn't say which ports it gives away")
        first, last = map(int, given.read_text().split())
        assert not first <= address.port <= last

    def test_it_listens_where_it_was_asked_to_and_nowhere_else(self, home: Path) -> None:
        enter(home)
        ensure(home)
        assert gateway_listens(home) == []
        address = ensure(home, tcp_host="127.0.0.1")
        assert gateway_listens(home) == [("127.0.0.1", address.port)]

    def test_an_address_that_is_not_ours_is_refused(self, home: Path) -> None:
        enter(home)
        with pytest.raises(GatewayError, match=r"can't listen on 192\.0\.2\.1"):
            ensure(home, tcp_host="192.0.2.1")


class TestAnswering:
    def test_a_caller_that_goes_away_ends_the_answer(self, home: Path) -> None:
        run, other = enter(home, script="- {say: late, wait: 600}"), enter(home, "r2")
        address = ensure(home)
        with waiting(address, run.key):
            # Who comes later is answered later: the first question has been read by then.
            assert call(address, other.key).status_code == 200
            assert lines(home) == []
        wait_for(lambda: lines(home))
        (line,) = lines(home)
        assert (line["end"], line["first_byte_s"]) == ("left", None)

    def test_a_cut_stream_breaks_off_and_its_repeat_is_whole(self, home: Path) -> None:
        run = enter(home, script="- {say: some longer words that make more than one chunk, cut: true}")
        address = ensure(home)
        with pytest.raises(httpx.RemoteProtocolError):
            call(address, run.key, stream=True)
        assert call(address, run.key).json()["stop_reason"] == "end_turn"
        assert [line["end"] for line in lines(home)] == ["cut", "complete"]

    def test_runs_are_answered_side_by_side(self, home: Path) -> None:
        """As many as there are wait for their answers, and the others have theirs."""
        slow = [enter(home, f"slow{number}", "- {say: late, wait: 600}") for number in range(8)]
        runs = [enter(home, f"r{number}", f"- {{say: '{number}', wait: 0.3}}") for number in range(8)]
        address = ensure(home)
        with contextlib.ExitStack() as stack:
            for run in slow:
                stack.enter_context(waiting(address, run.key))
            with ThreadPoolExecutor(8) as pool:
                replies = list(pool.map(lambda run: call(address, run.key), runs))
            assert [lines(home, run.run_id) for run in slow] == [[]] * 8
        assert [reply.json()["content"][0]["text"] for reply in replies] == list("01234567")

    def test_its_log_tells_nothing_of_what_was_said(self, home: Path) -> None:
        run = enter(home, script="- {say: a private matter of mine, cut: true}")
        address = ensure(home)
        with contextlib.suppress(httpx.HTTPError):
            call(address, run.key, stream=True)
        call(address, "sk-ant-wrong")
        call(address, run.key)
        stop(home)
        log = (home / "gateway.log").read_text()
        assert "private" not in log
        assert "sk-ant" not in log


def test_many_calls_at_once_leave_one_line_each(home: Path) -> None:
    run = enter(home)
    address = ensure(home)
    threads = [threading.Thread(target=call, args=(address, run.key)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(home)) == 20


def gateways(home: Path) -> list[int]:
    """Return the processes that serve this store, by their environment."""
    mark = f"CCNB_HOME={home}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes() and is_alive(int(folder.name)):
                found.append(int(folder.name))
    return found
