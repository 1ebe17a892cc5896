"""Source *forward*: the API answers, and only the gateway has the credential."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from starlette.responses import Response, StreamingResponse

from ccnb.errors import GatewayError, SpecError
from ccnb.gateway import process
from ccnb.gateway.forward import Vault
from ccnb.gateway.registration import register, unregister
from ccnb.gateway.upstream import API_URL, Pass, Upstream
from ccnb.redact import Secret
from tests.modelapi import API_KEY, OAUTH_TOKEN, TALK, ModelApi
from tests.searching import files_with
from tests.waiting import wait_for


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    process.stop(home)


class Agent:
    """Calls the gateway as the agent of one run does."""

    def __init__(self, home: Path, run_id: str = "r1", variable: str = "ANTHROPIC_API_KEY") -> None:
        self.home, self.run_id = home, run_id
        until = time.time() + 120
        self.run = register(home, run_id, api="live", workspace="/w", until=until, variable=variable)
        self.address = process.ensure(home)
        transport = httpx.HTTPTransport(uds=str(self.address.socket))
        self.client = httpx.Client(base_url="http://localhost", transport=transport, timeout=60)

    def give(self, api: ModelApi, value: str = API_KEY, path: str = "") -> None:
        upstream = Upstream(api.url + path)
        process.give(self.home, self.run_id, Pass(self.run.variable, Secret(value), upstream))

    def body(self, **more: object) -> dict[str, Any]:
        talk = [{"role": "user", "content": "go"}]
        return {"model": "claude-haiku-5-5", "messages": talk, "tools": [{"name": "Bash"}], **more}

    def ask(
        self, *, headers: dict[str, str] | None = None, path: str = "/v1/messages", **more: object
    ) -> Any:
        own = {"x-api-key": self.run.key} if headers is None else headers
        return self.client.post(path, headers=own, json=self.body(**more))

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self.home / "runs" / self.run_id / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def api() -> Iterator[ModelApi]:
    with ModelApi("- {say: Hello, tokens: {input: 7, output: 3}}") as api:
        yield api


@pytest.fixture
def agent(home: Path, api: ModelApi) -> Agent:
    agent = Agent(home)
    agent.give(api)
    return agent


def direct(api: ModelApi, agent: Agent, **more: object) -> httpx.Response:
    return httpx.post(f"{api.url}/v1/messages", headers={"x-api-key": API_KEY}, json=agent.body(**more))


class TestOnTheWayOut:
    def test_the_credential_takes_the_keys_place(self, agent: Agent, api: ModelApi) -> None:
        assert agent.ask().status_code == 200
        (asked,) = api.asked
        assert asked.headers["x-api-key"] == API_KEY
        assert "authorization" not in asked.headers
        assert agent.run.key not in json.dumps([asked.headers, asked.body])

    def test_a_token_is_a_bearer_for_a_key_that_was_one(self, home: Path) -> None:
        with ModelApi(credential=OAUTH_TOKEN) as api:
            agent = Agent(home, variable="CLAUDE_CODE_OAUTH_TOKEN")
            agent.give(api, OAUTH_TOKEN)
            assert agent.run.key.startswith("sk-ant-oat01-")
            headers = {"authorization": f"Bearer {agent.run.key}", "anthropic-beta": "oauth-2025-04-20,b"}
            assert agent.ask(headers=headers).status_code == 200
        (asked,) = api.asked
        assert asked.headers["authorization"] == f"Bearer {OAUTH_TOKEN}"
        assert "x-api-key" not in asked.headers
        assert asked.headers["anthropic-beta"] == "oauth-2025-04-20,b"

    def test_the_agents_own_headers_and_query_go_on_the_others_end_here(
        self, agent: Agent, api: ModelApi
    ) -> None:
        headers = {
            "x-api-key": agent.run.key,
            "anthropic-version": "2023-06-01",
            "user-agent": "claude-cli/2",
            "cookie": "a=b",
            "connection": "keep-alive, x-hop",
            "x-hop": "1",
            "te": "trailers",
            "proxy-authorization": "Basic x",
        }
        agent.ask(headers=headers, path="/v1/messages?beta=true")
        (asked,) = api.asked
        assert asked.target == "/v1/messages?beta=true"
        assert asked.headers["anthropic-version"] == "2023-06-01"
        assert asked.headers["user-agent"] == "claude-cli/2"
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["host"] == api.url.removeprefix("http://")
        assert asked.headers.keys().isdisjoint({"cookie", "x-hop", "te", "proxy-authorization"})

    def test_the_body_goes_on_byte_for_byte(self, agent: Agent, api: ModelApi) -> None:
        odd = b'{ "messages" : [],\n"model":"m\\u00e9",  "x": 1.0e2 }'
        agent.client.post("/v1/messages", headers={"x-api-key": agent.run.key}, content=odd)
        assert api.asked[0].raw == odd

    def test_a_companys_gateway_may_have_a_path(self, agent: Agent, api: ModelApi) -> None:
        agent.give(api, path="/prefix")
        assert agent.ask().status_code == 200
        assert api.asked[0].target == "/prefix/v1/messages"

    def test_tokens_are_counted_by_the_api_and_that_is_no_call(self, agent: Agent, api: ModelApi) -> None:
        reply = agent.ask(path="/v1/messages/count_tokens")
        assert reply.json()["input_tokens"] >= 1
        assert api.asked[0].target == "/v1/messages/count_tokens"
        assert not (agent.home / "runs" / "r1" / "calls.jsonl").exists()

    @pytest.mark.parametrize("path", ["/v1/models", "/v1/files", "/api/oauth/profile"])
    def test_nothing_else_of_the_api_is_reached(self, agent: Agent, api: ModelApi, path: str) -> None:
        assert agent.ask(path=path).status_code == 404
        assert api.asked == []


class TestOnTheWayBack:
    @pytest.mark.parametrize("stream", [True, False])
    def test_an_answer_passes_byte_for_byte(self, agent: Agent, api: ModelApi, *, stream: bool) -> None:
        through, plain = agent.ask(stream=stream), direct(api, agent, stream=stream)
        assert through.content == plain.content
        assert through.status_code == plain.status_code
        assert through.headers["content-type"] == plain.headers["content-type"]

    def test_an_error_passes_with_what_the_agent_goes_by(self, home: Path) -> None:
        with ModelApi("- {error: 429, retry_after: 7}", headers={"anthropic-ratelimit-x": "1"}) as api:
            agent = Agent(home)
            agent.give(api)
            reply = agent.ask()
        assert reply.status_code == 429
        assert reply.json()["error"]["type"] == "rate_limit_error"
        assert reply.headers["retry-after"] == "7"
        assert reply.headers["anthropic-ratelimit-x"] == "1"
        assert reply.headers["request-id"] == reply.json()["request_id"]
        assert [call["status"] for call in agent.calls] == [429]

    @pytest.mark.parametrize("stream", [True, False])
    def test_tokens_are_known_though_the_answer_was_encoded(
        self, agent: Agent, api: ModelApi, *, stream: bool
    ) -> None:
        api.zipped = True
        through = agent.ask(stream=stream)
        assert "content-encoding" not in through.headers
        assert b"Hello" in through.content
        (call,) = agent.calls
        assert (call["input_tokens"], call["output_tokens"], call["end"]) == (7, 3, "complete")

    def test_the_caches_tokens_are_known(self, agent: Agent, api: ModelApi) -> None:
        usage = {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 4,
        }
        api.special = lambda asked: Response(json.dumps({"usage": usage}), media_type="application/json")
        agent.ask()
        assert {name: agent.calls[0][name] for name in usage} == usage

    def test_a_stream_that_the_api_breaks_off_is_broken_off(self, home: Path) -> None:
        script = "- {say: 'Word by word by word by word by word, and a few more.', cut: true}"
        with ModelApi(script) as api:
            agent = Agent(home)
            agent.give(api)
            with pytest.raises(httpx.RemoteProtocolError):
                agent.ask(stream=True)
        assert [call["end"] for call in agent.calls] == ["cut"]

    def test_an_api_that_is_not_there_is_an_error_that_is_tried_again(self, agent: Agent) -> None:
        upstream = Upstream("http://127.0.0.1:9")
        process.give(agent.home, "r1", Pass("ANTHROPIC_API_KEY", Secret(API_KEY), upstream))
        reply = agent.ask()
        assert reply.status_code == 502
        assert "can't reach http://127.0.0.1:9" in reply.json()["error"]["message"]

    def test_a_caller_that_goes_away_ends_the_question_to_the_api(self, home: Path) -> None:
        with ModelApi("- {say: 'One two three four five six seven eight nine', pace: 600}") as api:
            agent = Agent(home)
            agent.give(api)
            with agent.client.stream(
                "POST", "/v1/messages", headers={"x-api-key": agent.run.key}, json=agent.body(stream=True)
            ) as reply:
                next(reply.iter_raw())
            wait_for(lambda: [asked.left for asked in api.asked] == [True])
            wait_for(lambda: agent.calls)
        assert [call["end"] for call in agent.calls] == ["left"]

    def test_a_long_answer_takes_no_memory(self, agent: Agent, api: ModelApi) -> None:
        piece = b"data: " + b"x" * 65_536 + b"\n\n"

        async def long():
            for _ in range(800):
                yield piece

        api.special = lambda asked: StreamingResponse(long(), media_type="text/event-stream")
        pid = json.loads((agent.home / "gateway.state").read_text())["pid"]
        agent.ask()
        before = peak_mb(pid)
        reply = agent.ask(stream=True)
        assert len(reply.content) == 800 * len(piece)
        assert peak_mb(pid) - before < 8

    def test_a_redirection_is_not_followed(self, agent: Agent, api: ModelApi) -> None:
        away = {"location": f"{api.url}/prefix/v1/messages"}
        api.special = lambda asked: Response(status_code=307, headers=away)
        assert agent.ask().status_code == 307
        assert len(api.asked) == 1

    def test_fifty_runs_at_once_each_get_their_own_answer_by_their_own_credential(self, home: Path) -> None:
        async def words(own: str) -> AsyncIterator[bytes]:
            for number in range(20):
                yield f"data: {own} {number}\n\n".encode()
                await asyncio.sleep(0.01)

        with ModelApi() as api:
            api.special = lambda asked: StreamingResponse(
                words(asked.headers["x-api-key"]), media_type="text/event-stream"
            )
            agents = [Agent(home, f"r{number}") for number in range(50)]
            for number, agent in enumerate(agents):
                agent.give(api, f"sk-ant-api03-of-nobody-{number}")
            with ThreadPoolExecutor(50) as pool:
                replies = list(pool.map(lambda agent: agent.ask(stream=True), agents))
        for number, reply in enumerate(replies):
            lines = [f"data: sk-ant-api03-of-nobody-{number} {word}\n\n" for word in range(20)]
            assert reply.text == "".join(lines)
            assert len(agents[number].calls) == 1


class TestTheCredential:
    def test_without_one_the_agent_is_to_ask_again_and_told_why(self, home: Path) -> None:
        agent = Agent(home)
        assert not process.knows(home, "r1")
        reply = agent.ask()
        assert reply.status_code == 503
        assert "ccnb attach r1" in reply.json()["error"]["message"]
        assert agent.calls[0]["refused"] == "no_credential"

    def test_after_the_gateways_death_it_is_given_again(self, agent: Agent, api: ModelApi) -> None:
        process.stop(agent.home)
        process.ensure(agent.home)
        assert agent.ask().status_code == 503
        agent.give(api)
        assert process.knows(agent.home, "r1")
        assert agent.ask().status_code == 200

    def test_it_is_in_no_file_no_argument_and_no_environment(self, agent: Agent) -> None:
        agent.ask()
        pid = json.loads((agent.home / "gateway.state").read_text())["pid"]
        for name in ("cmdline", "environ"):
            assert API_KEY.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        files = [path for path in agent.home.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {
            "gateway.json",
            "gateway.state",
            "calls.jsonl",
            "gateway.log",
        }
        assert files_with(API_KEY, agent.home) == []

    def test_one_of_another_kind_is_refused(self, agent: Agent, api: ModelApi) -> None:
        given = Pass("CLAUDE_CODE_OAUTH_TOKEN", Secret(OAUTH_TOKEN), Upstream(api.url))
        with pytest.raises(GatewayError, match="began with a credential of ANTHROPIC_API_KEY"):
            process.give(agent.home, "r1", given)

    def test_it_serves_its_own_run_only_and_no_longer_than_that(
        self, agent: Agent, api: ModelApi, home: Path
    ) -> None:
        other = Agent(home, "r2")
        assert other.ask().status_code == 503
        unregister(home, "r1")
        assert agent.ask().status_code == 401
        with pytest.raises(GatewayError, match="not registered"):
            agent.give(api)
        assert api.asked == []

    def test_it_is_forgotten_when_the_run_is_over(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CCNB_GATEWAY_IDLE_S", "0.6")
        with ModelApi(TALK) as api:
            stays, ends = Agent(home, "stays"), Agent(home, "ends")
            stays.give(api)
            ends.give(api)
            unregister(home, "ends")
            wait_for(lambda: not process.knows(home, "ends"))
            assert process.knows(home, "stays")

    def test_it_does_not_show(self) -> None:
        shown = repr(Pass("ANTHROPIC_API_KEY", Secret(API_KEY), Upstream("https://x", proxy="http://u:pw@p")))
        assert API_KEY not in shown
        assert "pw" not in shown


@pytest.mark.needs("openssl")
class TestAProxyThatSignsAnew:
    """As many a company has it: the API is reached through a proxy, with the company's certificate."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        pem = tmp_path / "ca.pem"
        name = ["-subj", "/CN=api.example", "-addext", "subjectAltName=DNS:api.example"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name]
        subprocess.run([*command, "-keyout", str(pem), "-out", f"{pem}.crt"], check=True, capture_output=True)
        with pem.open("a") as file:
            file.write(Path(f"{pem}.crt").read_text())
        return pem

    @pytest.fixture
    def proxy(self, certificate: Path) -> Iterator[str]:
        """Return the address of a proxy that connects every host to our own server."""
        with ModelApi("- Hello.", certificate=certificate) as api, Connect(api.port) as proxy:
            yield proxy.url

    def upstream(self, monkeypatch: pytest.MonkeyPatch, proxy: str, **environment: str) -> Upstream:
        for name in ("https_proxy", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
            monkeypatch.delenv(name, raising=False)
        environment |= {"ANTHROPIC_BASE_URL": "https://api.example", "HTTPS_PROXY": proxy}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Upstream.from_environment()

    @pytest.mark.parametrize("variable", ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"])
    def test_both_are_taken_from_the_environment(
        self, home: Path, certificate: Path, proxy: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upstream = self.upstream(monkeypatch, proxy, **{variable: f"{certificate}.crt"})
        agent = Agent(home)
        process.give(home, "r1", Pass("ANTHROPIC_API_KEY", Secret(API_KEY), upstream))
        assert agent.ask().json()["content"][0]["text"] == "Hello."

    def test_a_certificate_that_nobody_vouches_for_gets_no_credential(
        self, home: Path, proxy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upstream = self.upstream(monkeypatch, proxy)
        agent = Agent(home)
        process.give(home, "r1", Pass("ANTHROPIC_API_KEY", Secret(API_KEY), upstream))
        assert agent.ask().status_code == 502


class Connect(socketserver.ThreadingTCPServer):
    """A proxy that takes CONNECT to any host, and leads to one port of ours."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.target = port
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Tunnel(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert self.rfile.readline().startswith(b"CONNECT api.example:443 ")
        while self.rfile.readline().strip():
            pass
        assert isinstance(self.server, Connect)
        with socket.create_connection(("127.0.0.1", self.server.target)) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(there, self.connection), daemon=True)
            back.start()
            pump(self.connection, there)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


class TestTheWay:
    def test_it_is_the_vendors_unless_the_environment_says_otherwise(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ANTHROPIC_BASE_URL", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
        assert Upstream.from_environment() == Upstream(API_URL)

    def test_this_machine_is_reached_without_a_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:4000")
        monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
        assert Upstream.from_environment().proxy is None

    def test_it_is_the_callers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import certifi

        monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://llm.example/anthropic/")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", certifi.where())
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("no_proxy", "other.example")
        found = Upstream.from_environment()
        assert (found.url, found.proxy) == ("https://llm.example/anthropic", "http://proxy.example:3128")
        assert (found.ca_file, found.extra_ca_file) == (None, certifi.where())
        assert Upstream.from_dict(json.loads(json.dumps(found.to_dict()))) == found
        monkeypatch.setenv("no_proxy", "llm.example")
        assert Upstream.from_environment().proxy is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ANTHROPIC_BASE_URL", "llm.example"),
            ("ANTHROPIC_BASE_URL", "ftp://llm.example"),
            ("NODE_EXTRA_CA_CERTS", "/nowhere/ca.pem"),
            ("SSL_CERT_FILE", __file__),
        ],
    )
    def test_what_cannot_be_used_is_named(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(SpecError, match=name):
            Upstream.from_environment()

    def test_one_way_is_one_pool_of_connections(self) -> None:
        vault = Vault()
        assert vault.client(Upstream("http://a")) is vault.client(Upstream("http://a"))
        assert vault.client(Upstream("http://a")) is not vault.client(Upstream("http://b"))

    def test_light_to_import(self) -> None:
        code = (
            "import sys, ccnb.gateway.process; print([m for m in ('httpx', 'starlette') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError
