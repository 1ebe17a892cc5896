"""The egress proxy in its process: whom it serves, what it lets through, what it writes down."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ccnb.gateway import network_log, policy
from ccnb.gateway.meeting import meeting
from ccnb.gateway.process import ensure, stop
from ccnb.gateway.registration import Registration, register, unregister
from ccnb.redact import Redactor, Secret
from ccnb.results import Connection
from tests.waiting import gateway_pid, kill_gateway, wait_for

MB = 1_000_000


class Server:
    """A server on loopback that does something with each connection, in a thread of its own."""

    def __init__(self, handle: Callable[[socket.socket], object]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._handle = handle
        self.port = self._listener.getsockname()[1]
        self.entry = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A thread that waits in accept would keep it open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            self._handle(peer)


def echo(peer: socket.socket) -> None:
    while chunk := peer.recv(65536):
        peer.sendall(chunk)


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], object]], Server]]:
    """Return a function that starts a server."""
    started: list[Server] = []

    def start(handle: Callable[[socket.socket], object]) -> Server:
        started.append(Server(handle))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def enter(home: Path) -> Callable[..., Registration]:
    """Return a function that registers a run with a list of hosts, and sees that the gateway serves."""

    def make(*hosts: str, run_id: str = "r1") -> Registration:
        until = time.time() + 600
        run = register(home, run_id, api="script:demo", workspace="/w", until=until, hosts=hosts)
        ensure(home)
        return run

    return make


def credentials(run: Registration) -> str:
    return base64.b64encode(f"{run.run_id}:{policy.secret_of(run)}".encode()).decode()


def connect(run: Registration, target: str) -> str:
    authorization = f"Proxy-Authorization: Basic {credentials(run)}"
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n\r\n"


def say(home: Path, head: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(meeting(home).egress))
    client.sendall(head.encode())
    return client


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """Let a process do nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def answer(client: socket.socket) -> str:
    """Return the head of what comes."""
    got = b""
    while b"\r\n\r\n" not in got and (chunk := client.recv(1)):
        got += chunk
    return got.decode()


def ask(home: Path, run: Registration, target: str) -> tuple[socket.socket, str]:
    """Ask for a tunnel; return the connection and the first line of the answer."""
    client = say(home, connect(run, target))
    return client, answer(client).partition("\r\n")[0]


def refusal(home: Path, run: Registration, target: str) -> str:
    client, line = ask(home, run, target)
    client.close()
    return line.removeprefix("HTTP/1.1 ")


def tunnel(home: Path, run: Registration, server: Server) -> socket.socket:
    client, line = ask(home, run, server.entry)
    assert line == "HTTP/1.1 200 Connection established"
    return client


def read_all(client: socket.socket) -> bytes:
    got = b""
    while chunk := client.recv(65536):
        got += chunk
    return got


def log(home: Path, run_id: str = "r1") -> tuple[Connection, ...]:
    return network_log.read(home / "runs" / run_id)


class TestWhoIsServed:
    def test_without_a_secret_nobody(self, home, enter, server):
        there = server(echo)
        enter(there.entry)
        client = say(home, f"CONNECT {there.entry} HTTP/1.1\r\nHost: x\r\n\r\n")
        head = answer(client)
        assert head.startswith("HTTP/1.1 407 ccnb: this proxy needs the secret of the run")
        assert 'Proxy-Authenticate: Basic realm="ccnb"' in head
        assert "HTTPS_PROXY" in read_all(client).decode()
        assert log(home) == ()

    def test_one_runs_secret_does_not_open_anothers_list(self, home, enter, server):
        there = server(echo)
        enter(there.entry, run_id="r1")
        other = enter("a.example", run_id="r2")
        assert refusal(home, other, there.entry).startswith("403 ")
        forged = Registration("r1", other.api, other.workspace, other.until, other.key, other.hosts)
        assert refusal(home, forged, there.entry).startswith("407 ")
        assert [c.host for c in log(home, "r2")] == ["127.0.0.1"]
        assert log(home, "r1") == ()

    def test_a_run_without_a_list_reaches_nothing(self, home, enter, server):
        there = server(echo)
        assert refusal(home, enter(), there.entry).startswith("403 ")

    def test_a_run_that_is_over_reaches_nothing(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        unregister(home, run.run_id)
        assert refusal(home, run, there.entry).startswith("407 ")


class TestWhatIsLetThrough:
    def test_a_listed_host_and_no_other_by_a_sentence(self, home, enter, server):
        there, elsewhere = server(echo), server(echo)
        run = enter(there.entry)
        with tunnel(home, run, there) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        for target in (elsewhere.entry, "example.org:443", "127.0.0.2:443", "[::1]:443"):
            assert refusal(home, run, target) == (
                f"403 ccnb: network policy of this run doesn't allow {target}; add it to network=[...]"
            )

    def test_a_name_that_leads_to_this_machine_is_refused_unless_its_address_is_listed(
        self, home, enter, server
    ):
        there, name = server(echo), socket.gethostname()
        with contextlib.suppress(OSError):
            if not any(policy.is_public(a) for a in policy.resolve(name, 1)):
                named = f"{name}:{there.port}"
                run = enter(named)
                assert "leads to this machine or a private network" in refusal(home, run, named)
                assert not log(home)[0].allowed
                assert log(home)[0].reason.startswith("not public: ")
                run = enter(named, *(f"{a}:{there.port}" for a in policy.resolve(name, 1) if "." in a))
                assert not refusal(home, run, named).startswith("403")
                return
        pytest.skip("this machine's name leads to no private address")

    def test_localhost_is_let_through_where_it_is_listed(self, home, enter, server):
        there = server(echo)
        run = enter(f"localhost:{there.port}")
        assert refusal(home, run, f"LOCALHOST.:{there.port}").startswith("200 ")
        assert refusal(home, run, there.entry).startswith("403 ")

    def test_other_spellings_of_an_address_are_refused(self, home, enter, server):
        there = server(echo)
        run = enter("10.255.255.1")
        for host in ("127.1", "2130706433", "0x7f000001", "localhost", "0"):
            assert refusal(home, run, f"{host}:{there.port}").startswith("403 ")

    def test_plain_http_is_refused(self, home, enter):
        run = enter("a.example:80")
        auth = f"Proxy-Authorization: Basic {credentials(run)}"
        client = say(home, f"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n{auth}\r\n\r\n")
        assert answer(client).startswith("HTTP/1.1 403 ccnb: plain http is let through to no host")
        assert [(c.host, c.port, c.reason) for c in log(home)] == [("a.example", 80, "plain http")]

    def test_a_listed_host_that_does_not_answer_is_told_apart(self, home, enter):
        # A port that is taken and not listened on: nobody else can come to have it meanwhile.
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            entry = f"127.0.0.1:{deaf.getsockname()[1]}"
            run = enter(entry)
            assert "is allowed, but can't be reached" in refusal(home, run, entry)
        (connection,) = log(home)
        assert (connection.allowed, connection.bytes_up) == (True, 0)
        assert connection.reason.startswith("unreachable: ")

    @pytest.mark.parametrize(
        "head",
        [
            "\0\1\2\3\r\n\r\n",
            "CONNECT\r\n\r\n",
            "CONNECT x HTTP/9\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nno header\r\n\r\n",
        ],
    )
    def test_nonsense_is_answered_and_costs_nothing(self, home, enter, server, head):
        there = server(echo)
        run = enter(there.entry)
        assert answer(say(home, head)).startswith("HTTP/1.1 4")
        tunnel(home, run, there).close()

    def test_a_head_has_an_end(self, home, enter):
        enter()
        client = say(home, "CONNECT a:1 HTTP/1.1\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                client.sendall(b"X: " + b"y" * 1000 + b"\r\n")
        assert answer(client).startswith("HTTP/1.1 431 ")


class TestTunnels:
    def test_each_side_may_end_before_the_other(self, home, enter, server):
        def count(peer):
            total = sum(len(chunk) for chunk in iter(lambda: peer.recv(65536), b""))
            peer.sendall(b"got %d" % total)

        there = server(count)
        client = tunnel(home, enter(there.entry), there)
        client.sendall(b"x" * MB)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"got 1000000"

    def test_what_is_sent_before_the_answer_arrives(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        client = say(home, connect(run, there.entry) + "early")
        assert " 200 " in answer(client)
        assert client.recv(100) == b"early"

    def test_a_client_that_goes_away_ends_the_upstream(self, home, enter, server):
        ended = threading.Event()

        def feed(peer):
            try:
                while True:
                    peer.sendall(b"x" * 1000)
                    time.sleep(0.01)
            finally:
                ended.set()

        there = server(feed)
        client = tunnel(home, enter(there.entry), there)
        client.recv(1000)
        client.close()
        assert ended.wait(60)
        wait_for(lambda: log(home)[0].duration_s is not None)

    def test_a_host_that_breaks_off_ends_the_client(self, home, enter, server):
        def reset(peer):
            peer.recv(5)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        there = server(reset)
        client = tunnel(home, enter(there.entry), there)
        client.sendall(b"hello")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""

    def test_fifty_at_once(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        barrier = threading.Barrier(50)

        def use(number: int) -> bool:
            with tunnel(home, run, there) as client:
                barrier.wait(60)
                client.sendall(b"%05d" % number * 2000)
                client.shutdown(socket.SHUT_WR)
                return read_all(client) == b"%05d" % number * 2000

        with ThreadPoolExecutor(50) as pool:
            assert all(pool.map(use, range(50)))
        wait_for(lambda: all(c.duration_s is not None for c in log(home)))
        assert [(c.bytes_up, c.bytes_down) for c in log(home)] == [(10_000, 10_000)] * 50

    def test_memory_stays_flat_however_much_passes_and_however_slowly_it_is_read(self, home, enter, server):
        def send(peer):
            for _ in range(50):
                peer.sendall(b"x" * MB)

        there = server(send)
        run = enter(there.entry)
        process = psutil.Process(gateway_pid(home))
        tunnel(home, run, there).close()
        before = process.memory_info().rss
        highest, total = before, 0
        with tunnel(home, run, there) as client:
            time.sleep(0.5)
            highest = max(highest, process.memory_info().rss)
            while chunk := client.recv(MB):
                total += len(chunk)
                if total % (5 * MB) < len(chunk):
                    highest = max(highest, process.memory_info().rss)
        assert total == 50 * MB
        assert highest - before < 5 * MB

    def test_too_many_of_one_run_leave_room_for_the_others(self, home, enter, server):
        there = server(echo)
        one, other = enter(there.entry), enter(there.entry, run_id="r2")
        held = [tunnel(home, one, there) for _ in range(256)]
        assert refusal(home, one, there.entry).startswith("503 ccnb: 256 connections of this run are open")
        tunnel(home, other, there).close()
        for client in held:
            client.close()
        wait_for(lambda: refusal(home, one, there.entry).startswith("200 "))

    def test_clients_that_say_nothing_do_not_shut_the_others_out(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        silent = [say(home, "") for _ in range(300)]
        tunnel(home, run, there).close()
        assert silent[0].recv(1) == b""

    def test_nor_do_clients_that_all_come_at_one_moment(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        with held(gateway_pid(home)):
            silent = [say(home, "") for _ in range(300)]
        tunnel(home, run, there).close()
        assert silent[0].recv(1) == b""


class TestWhatIsWrittenDown:
    def test_each_connection_in_its_order(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        with tunnel(home, run, there) as client:
            client.sendall(b"hello")
            client.recv(5)
        refusal(home, run, "Evil.example:8443")
        wait_for(lambda: log(home)[0].duration_s is not None)
        first, second = log(home)
        assert (first.host, first.port, first.allowed, first.reason) == (
            "127.0.0.1",
            there.port,
            True,
            "open",
        )
        assert (first.bytes_up, first.bytes_down) == (5, 5)
        assert first.at < second.at
        assert (second.host, second.allowed, second.reason) == ("Evil.example", False, "not listed")

    def test_a_connection_is_written_down_before_it_opens(self, home, enter, server):
        there = server(echo)
        with tunnel(home, enter(there.entry), there):
            (connection,) = log(home)
            assert connection.allowed
            assert connection.bytes_up is None

    def test_it_is_private_and_tells_no_secret(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        tunnel(home, run, there).close()
        refusal(home, run, "b.example:1")
        wait_for(lambda: log(home)[0].duration_s is not None)
        path = home / "runs" / "r1" / network_log.FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        stop(home)
        for text in (path.read_text(), (home / "gateway.log").read_text()):
            assert policy.secret_of(run) not in text
            assert run.key not in text

    def test_a_secret_that_was_asked_for_as_a_host_is_taken_out(self, home, enter):
        run = enter("a.example")
        refusal(home, run, "Hunter2-Hunter2.b.example:443")
        refusal(home, run, "c.example:443")
        network_log.redact(home / "runs" / "r1", Redactor([Secret("Hunter2-Hunter2")]))
        assert [c.host for c in log(home)] == ["[redacted].b.example", "c.example"]

    def test_what_a_dying_gateway_left_half_is_passed_over(self, home, enter):
        run = enter("a.example")
        refusal(home, run, "b.example:443")
        path = home / "runs" / "r1" / network_log.FILE
        path.write_bytes(path.read_bytes() + b'{"id": "1", "at": "20')
        assert [c.host for c in log(home)] == ["b.example"]

    def test_nothing_passes_that_has_no_room_in_the_log(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        path = home / "runs" / "r1" / network_log.FILE
        path.write_bytes(b"\n" * network_log.LARGEST_BYTES)
        assert "log is full" in refusal(home, run, there.entry)
        refusal(home, run, "b.example:443")
        assert path.stat().st_size == network_log.LARGEST_BYTES


class TestDying:
    def test_a_killed_gateway_is_replaced_and_serves_the_same_secret(self, home, enter, server):
        there = server(echo)
        run = enter(there.entry)
        held = tunnel(home, run, there)
        kill_gateway(home)
        with contextlib.suppress(ConnectionResetError):
            assert held.recv(10) == b""
        ensure(home)
        with tunnel(home, run, there) as client:
            client.sendall(b"again")
            assert client.recv(10) == b"again"
        wait_for(lambda: log(home)[-1].duration_s is not None)
        assert [(c.allowed, c.duration_s is None) for c in log(home)] == [(True, True), (True, False)]

    def test_one_that_ends_closes_its_tunnels_and_its_socket(self, home, enter, server):
        there = server(echo)
        held = tunnel(home, enter(there.entry), there)
        stop(home)
        with contextlib.suppress(ConnectionResetError):
            assert held.recv(10) == b""
        assert log(home)[0].duration_s is not None
        assert not meeting(home).egress.exists()
