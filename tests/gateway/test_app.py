"""The gateway's web face, asked as an agent asks it."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ccnb.errors import ScriptError, SpecError
from ccnb.gateway import registration
from ccnb.gateway.app import create_app
from ccnb.gateway.forward import Vault
from ccnb.gateway.registration import Registration, register

Register = Callable[..., Registration]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> TestClient:
    return TestClient(create_app(home, Vault()), raise_server_exceptions=False)


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Register:
    """Return a function that registers a run with a script given as text."""

    def make(script: str = "- Hello", run_id: str = "r1", seconds: float = 60) -> Registration:
        path = tmp_path / f"{run_id}.yaml"
        path.write_text(script)
        until = time.time() + seconds
        return register(home, run_id, api=f"script:{path}", workspace="/workspace", until=until)

    return make


def body(**more: object) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"name": "Bash"}],
        **more,
    }


def lines(home: Path, run_id: str = "r1") -> list[dict[str, Any]]:
    path = home / "runs" / run_id / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_call_is_answered_as_one_body(client: TestClient, run: Register) -> None:
    reply = client.post("/v1/messages?beta=true", headers={"x-api-key": run().key}, json=body())
    assert reply.status_code == 200
    assert reply.json()["content"] == [{"type": "text", "text": "Hello"}]
    assert reply.json()["model"] == "claude-sonnet-5-5"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["request-id"].startswith("req_")


def test_a_call_is_answered_as_a_stream(client: TestClient, run: Register) -> None:
    headers = {"authorization": f"Bearer {run().key}"}
    reply = client.post("/v1/messages", headers=headers, json=body(stream=True))
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.startswith("event: message_start\n")
    assert reply.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_of_the_script_is_an_error_of_the_api(
    client: TestClient, run: Register, *, stream: bool
) -> None:
    key = run("- {error: 429, retry_after: 3}").key
    reply = client.post("/v1/messages", headers={"x-api-key": key}, json=body(stream=stream))
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "3"
    assert reply.json()["error"]["type"] == "rate_limit_error"
    assert reply.json()["request_id"] == reply.headers["request-id"]


def test_tokens_are_counted(client: TestClient, run: Register) -> None:
    reply = client.post("/v1/messages/count_tokens", headers={"x-api-key": run().key}, json=body())
    assert reply.json()["input_tokens"] >= 1


def test_the_agent_may_say_hello_without_a_key(client: TestClient) -> None:
    assert client.head("/api/hello").status_code == 200
    assert client.get("/api/hello").status_code == 200
    assert client.get("/health").json() == {"status": "ok"}


class TestAccess:
    def wrong_keys(self, right: str) -> list[dict[str, str]]:
        stranger = right.replace("-r1-", "-r2-")
        tampered = right[:-1] + ("A" if right[-1] != "A" else "B")
        upward = right.replace("-r1-", "-../r1-")
        keys = ["", "nonsense", stranger, tampered, upward, right[:-1], right + "A", "sk-ant-api03-ccnb-r1-"]
        return [{}, *({"x-api-key": key} for key in keys), {"authorization": f"Basic {right}"}]

    def test_every_wrong_key_gets_the_same_refusal(self, client: TestClient, run: Register) -> None:
        key = run().key
        shapes = set()
        for headers in self.wrong_keys(key):
            reply = client.post("/v1/messages", headers=headers, json=body())
            assert reply.status_code == 401
            assert reply.json()["error"]["type"] == "authentication_error"
            assert key not in reply.text
            shapes.add(json.dumps(reply.json()["error"]))
        assert len(shapes) == 1

    @pytest.mark.parametrize("host", ["127.0.0.1", "rebound.example"])
    def test_a_web_page_gets_nothing(self, client: TestClient, run: Register, host: str) -> None:
        """Neither by a request across sites nor by a name of its own that leads to loopback."""
        run()
        page = {"origin": "https://page.example", "host": host}
        asks = page | {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
        replies = [
            client.post("/v1/messages", headers=page, json=body()),
            client.options("/v1/messages", headers=asks),
            client.get("/health", headers=page),
        ]
        assert [reply.status_code for reply in replies] == [401, 405, 200]
        allowed = [name for reply in replies for name in reply.headers if name.startswith("access-control")]
        assert allowed == []

    def test_an_expired_run_is_refused(self, client: TestClient, run: Register) -> None:
        key = run(seconds=-1).key
        assert client.post("/v1/messages", headers={"x-api-key": key}, json=body()).status_code == 401

    def test_access_ends_at_once(self, client: TestClient, run: Register, home: Path) -> None:
        headers = {"x-api-key": run().key}
        assert client.post("/v1/messages", headers=headers, json=body()).status_code == 200
        registration.unregister(home, "r1")
        assert client.post("/v1/messages", headers=headers, json=body()).status_code == 401

    def test_a_new_registration_replaces_the_key(self, client: TestClient, run: Register) -> None:
        old, new = run().key, run().key
        replies = [
            client.post("/v1/messages", headers={"x-api-key": key}, json=body()) for key in (new, old, new)
        ]
        assert [reply.status_code for reply in replies] == [200, 401, 200]

    def test_one_run_can_not_be_taken_for_another(self, client: TestClient, run: Register) -> None:
        keys = [run(f"- I am {run_id}", run_id).key for run_id in ("a", "a-b")]
        replies = [client.post("/v1/messages", headers={"x-api-key": key}, json=body()) for key in keys]
        assert [reply.json()["content"][0]["text"] for reply in replies] == ["I am a", "I am a-b"]


class TestBadRequests:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b'{"model": "m"}', b'{"messages": []}', b'{"model":1,"messages":[]}']
    )
    def test_a_body_that_is_no_request(self, client: TestClient, run: Register, content: bytes) -> None:
        reply = client.post("/v1/messages", headers={"x-api-key": run().key}, content=content)
        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize("messages", [[], [1, None], [{"role": "user"}], [{"content": [[], 3]}]])
    def test_odd_messages_are_answered(self, client: TestClient, run: Register, messages: list[Any]) -> None:
        reply = client.post("/v1/messages", headers={"x-api-key": run().key}, json=body(messages=messages))
        assert reply.status_code == 200

    def test_an_unknown_address(self, client: TestClient) -> None:
        reply = client.post("/v1/complete")
        assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")

    def test_a_script_that_has_gone_bad_is_told(
        self, client: TestClient, run: Register, tmp_path: Path
    ) -> None:
        key = run().key
        (tmp_path / "r1.yaml").write_text("- sya: x")
        reply = client.post("/v1/messages", headers={"x-api-key": key}, json=body())
        assert reply.status_code == 500
        assert "r1.yaml, line 1: unknown key 'sya'" in reply.json()["error"]["message"]


class TestCallLines:
    def test_each_call_leaves_a_line(self, client: TestClient, run: Register, home: Path) -> None:
        headers = {"x-api-key": run("- {error: 529, say: Hi, tokens: {input: 5, output: 6}}").key}
        for stream in (False, True, False):
            client.post("/v1/messages", headers=headers, json=body(stream=stream))
        first, second, third = lines(home)
        assert (first["status"], first["turn"], first["output_tokens"]) == (529, 0, None)
        assert (second["status"], second["stream"], second["input_tokens"]) == (200, True, 5)
        assert (third["status"], third["stream"], third["output_tokens"]) == (200, False, 6)
        assert {line["end"] for line in (first, second, third)} == {"complete"}
        assert all(0 <= line["first_byte_s"] <= line["duration_s"] for line in (first, second, third))

    def test_a_wait_stands_in_the_time_to_the_first_byte(
        self, client: TestClient, run: Register, home: Path
    ) -> None:
        client.post("/v1/messages", headers={"x-api-key": run("- {say: a, wait: 0.2}").key}, json=body())
        assert lines(home)[0]["first_byte_s"] >= 0.2

    def test_a_pace_stands_in_the_duration(self, client: TestClient, run: Register, home: Path) -> None:
        headers = {"x-api-key": run("- {say: a, pace: 0.05}").key}
        client.post("/v1/messages", headers=headers, json=body(stream=True))
        (line,) = lines(home)
        assert line["duration_s"] - line["first_byte_s"] >= 0.25

    def test_the_file_is_private_and_holds_no_key(
        self, client: TestClient, run: Register, home: Path
    ) -> None:
        key = run().key
        client.post("/v1/messages", headers={"x-api-key": key}, json=body())
        path = home / "runs" / "r1" / "calls.jsonl"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert key not in path.read_text()


class TestRegistration:
    def test_the_file_is_private(self, run: Register, home: Path) -> None:
        run()
        assert stat.S_IMODE((home / "runs" / "r1" / "gateway.json").stat().st_mode) == 0o600
        assert [path.name for path in (home / "runs" / "r1").iterdir()] == ["gateway.json"]

    def test_it_is_read_back(self, run: Register, home: Path) -> None:
        assert registration.read(home, "r1") is None
        made = run()
        assert registration.read(home, "r1") == made

    def test_the_key_is_not_shown(self, run: Register) -> None:
        made = run()
        assert made.key.startswith("sk-ant-api03-ccnb-r1-")
        assert made.key not in repr(made)

    def test_only_unexpired_runs_are_live(self, run: Register, home: Path) -> None:
        assert registration.live(home) == []
        run(run_id="old", seconds=-1)
        new = run(run_id="new")
        (home / "runs" / "broken").mkdir()
        (home / "runs" / "broken" / "gateway.json").write_text("{")
        assert registration.live(home) == [new]

    def test_unregistering_twice_is_fine(self, run: Register, home: Path) -> None:
        run()
        registration.unregister(home, "r1")
        registration.unregister(home, "r1")
        assert registration.live(home) == []

    def test_a_mistake_in_the_script_shows_before_the_run(self, run: Register, home: Path) -> None:
        with pytest.raises(ScriptError, match=r"r1\.yaml, line 1: unknown key 'sya'"):
            run("- sya: x")
        assert registration.live(home) == []

    def test_a_relative_script_is_found_from_anywhere(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "own.yaml").write_text("- Hi")
        monkeypatch.chdir(tmp_path)
        made = register(home, "r1", api="script:own.yaml", workspace="/w", until=time.time() + 9)
        assert made.api == f"script:{tmp_path}/own.yaml"

    def test_a_key_of_the_same_kind_stays_where_it_is_to_stay(self, home: Path) -> None:
        def registered(variable: str, earlier: registration.Registration | None) -> registration.Registration:
            until, more = time.time() + 9, {"api": "script:demo", "workspace": "/w"}
            return register(home, "r1", until=until, variable=variable, earlier=earlier, **more)

        first = registered("ANTHROPIC_API_KEY", None)
        assert registered("ANTHROPIC_API_KEY", first).key == first.key
        assert registered("CLAUDE_CODE_OAUTH_TOKEN", first).key.startswith("sk-ant-oat01")

    @pytest.mark.parametrize("run_id", ["", "../up", "a/b", ".", "a.b", "x" * 65, "ü"])
    def test_a_run_id_can_not_leave_its_folder(self, home: Path, run_id: str) -> None:
        with pytest.raises(SpecError):
            register(home, run_id, api="script:demo", workspace="/w", until=time.time() + 9)
        assert registration.read(home, run_id) is None

    @pytest.mark.parametrize("api", ["lively", "script", "script:", "tape:x"])
    def test_an_api_that_can_not_be_served_is_refused(self, home: Path, api: str) -> None:
        with pytest.raises(SpecError, match="use 'script:NAME'"):
            register(home, "r1", api=api, workspace="/w", until=time.time() + 9)
