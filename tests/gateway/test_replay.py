"""What went by once is answered again: recorded from a server in the API's place, replayed without it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.testclient import TestClient

from ccnb.gateway import cassette
from ccnb.gateway.app import create_app
from ccnb.gateway.forward import Vault
from ccnb.gateway.registration import register, write_private
from ccnb.gateway.upstream import Pass, Upstream
from ccnb.redact import Secret
from tests.modelapi import API_KEY, ModelApi

Ask = Callable[..., Any]
TOOL = "- {say: Look., tools: [Read: {file_path: $CWD/a.txt}]}\n- Done."


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def client(tmp_path: Path, vault: Vault) -> Iterator[TestClient]:
    with TestClient(create_app(tmp_path / "home", vault), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "tape.jsonl"


@pytest.fixture
def ask(client: TestClient, tmp_path: Path) -> Ask:
    """Return a function that asks as a run does, whose `api` is given."""
    keys: dict[tuple[str, str], str] = {}

    def ask(api: str, *said: str, workspace: str = "/workspace", **more: Any) -> Any:
        if (api, workspace) not in keys:
            run_id = f"r{len(keys)}"
            until = time.time() + 60
            run = register(tmp_path / "home", run_id, api=api, workspace=workspace, until=until)
            keys[api, workspace] = run.key
        talk = [{"role": "user", "content": text} for text in said]
        body = {"model": "m", "messages": talk, "tools": [{"name": "Bash"}], "stream": True, **more}
        headers = {"x-api-key": keys[api, workspace], "user-agent": "claude-cli/2", "cookie": "c=1"}
        return client.post("/v1/messages?beta=true", headers=headers, json=body)

    return ask


@pytest.fixture
def record(ask: Ask, vault: Vault, tape: Path, tmp_path: Path) -> Iterator[Callable[..., Ask]]:
    """Return a function that starts a server in the API's place and gives what asks it and is recorded."""
    servers = []

    def start(script: str = "- Hello.", secrets: dict[str, str] | None = None, **more: Any) -> Ask:
        servers.append(ModelApi(script, **more).__enter__())
        cassette.begin(tape, "ANTHROPIC_API_KEY")
        vault.give("r0", Pass("ANTHROPIC_API_KEY", Secret(API_KEY), Upstream(servers[0].url)))
        (tmp_path / "home" / "runs" / "r0").mkdir(parents=True)
        write_private(tmp_path / "home" / "runs" / "r0" / "secrets", secrets or {})
        return lambda *said, **options: ask(f"record:{tape}", *said, **options)

    yield start
    for server in servers:
        server.__exit__()


def message(reply: Any) -> dict[str, Any]:
    """Return an answer's message, streamed or not."""
    from ccnb.gateway.assembly import assemble, events_of

    return reply.json() if "json" in reply.headers["content-type"] else assemble(events_of(reply.content))


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_an_answer_comes_again_in_the_form_that_is_asked_for(
    record: Any, ask: Ask, tape: Path, *, recorded: bool, asked: bool
) -> None:
    first = record()("go", stream=recorded)
    again = ask(f"replay:{tape}", "go", stream=asked)
    assert ("event-stream" in again.headers["content-type"]) == asked
    assert message(again) == message(first)


def test_requests_find_their_answers_in_any_order_and_at_once(record: Any, ask: Ask, tape: Path) -> None:
    asks = record()
    said = [f"question {n}" for n in range(8)]
    texts = {text: message(asks(text))["id"] for text in said}
    ask(f"replay:{tape}", said[0])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: message(ask(f"replay:{tape}", text))["id"], reversed(said)))
    assert found == [texts[text] for text in reversed(said)]


def test_a_repeat_is_answered_in_order_and_the_last_one_stays(record: Any, ask: Ask, tape: Path) -> None:
    asks = record("- {error: 529, times: 2, retry_after: 3, say: At last.}")
    assert [asks("go").status_code for _ in range(3)] == [529, 529, 200]
    replies = [ask(f"replay:{tape}", "go") for _ in range(5)]
    assert [reply.status_code for reply in replies] == [529, 529, 200, 200, 200]
    assert replies[0].headers["retry-after"] == "3"
    assert replies[0].json()["error"]["type"] == "overloaded_error"


def test_each_run_begins_at_the_first_answer(record: Any, ask: Ask, tape: Path) -> None:
    asks = record("- {error: 529, say: At last.}")
    assert [asks("go").status_code for _ in range(2)] == [529, 200]
    for workspace in ("/a/b", "/c/d"):
        assert ask(f"replay:{tape}", "go", workspace=workspace).status_code == 529


def test_paths_in_an_answer_are_those_of_the_place_that_asks(record: Any, ask: Ask, tape: Path) -> None:
    record(TOOL)("Look at /workspace/a.txt")
    reply = ask(f"replay:{tape}", "Look at /somewhere/else/a.txt", workspace="/somewhere/else")
    assert message(reply)["content"][1]["input"] == {"file_path": "/somewhere/else/a.txt"}


def test_what_was_not_recorded_is_refused_with_the_nearest(record: Any, ask: Ask, tape: Path) -> None:
    asks = record()
    asks("one")
    asks("one", "two")
    reply = ask(f"replay:{tape}", "one", "three")
    assert reply.status_code == 410
    assert reply.json()["error"]["type"] == "invalid_request_error"
    text = reply.json()["error"]["message"]
    assert "tape.jsonl has no answer to this request; the nearest, exchange 2, differs in messages[1]" in text
    assert "'two'" in text
    assert "'three'" in text


def test_another_agent_is_named_as_a_cause(record: Any, ask: Ask, tape: Path) -> None:
    record()("one")
    tape.write_text(tape.read_text().replace("claude-cli/2", "claude-cli/1"))
    said = ask(f"replay:{tape}", "two").json()["error"]["message"]
    assert said.endswith("(recorded with claude-cli/1, asked by claude-cli/2)")


def test_only_declared_headers_and_no_ids_are_kept(record: Any, tape: Path, tmp_path: Path) -> None:
    asks = record(headers={"anthropic-organization-id": "org-of-mine", "set-cookie": "secret=1"})
    asks("My mail is ada@example.org", metadata={"user_id": "account-of-mine"})
    (exchange,) = cassette.load(tape).recorded
    assert exchange.headers == {"user-agent": "claude-cli/2"}
    assert set(exchange.answer_headers) == {"content-type"}
    text = tape.read_text()
    for word in ("of-mine", "secret=1", "c=1", "ada@", API_KEY, "ccnb-r0-", "req_"):
        assert word not in text


def test_a_runs_secrets_are_taken_out_however_they_are_spelled(record: Any, ask: Ask, tape: Path) -> None:
    secret = 'pass"word/with\\signs'  # noqa: S105 - of nobody
    asks = record("- {say: 'It is pass\"word/with\\signs, as I said.'}", secrets={"DB": secret})
    reply = asks(json.dumps({"the": secret}))
    assert secret in message(reply)["content"][0]["text"]
    text = tape.read_text()
    assert "word/with" not in text
    assert text.count("[redacted]") >= 2


def test_an_answer_that_breaks_off_is_not_recorded(record: Any, tape: Path) -> None:
    script = "- {say: 'Word by word by word by word by word, and a few more.', cut: true}"
    asks = record(script)
    asks("go")
    assert cassette._read(tape).count(b"\n") == 1
    asks("go")
    assert len(cassette.load(tape).recorded) == 1


def test_an_error_in_mid_answer_is_not_recorded(record: Any, tape: Path) -> None:
    async def stream() -> Any:
        yield b'event: message_start\ndata: {"type":"message_start","message":{"usage":{}}}\n\n'
        yield b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'

    asks = record(special=lambda asked: StreamingResponse(stream(), media_type="text/event-stream"))
    assert b"overloaded_error" in asks("go").content
    assert cassette._read(tape).count(b"\n") == 1


def test_what_is_no_json_is_kept_as_text(record: Any, ask: Ask, tape: Path) -> None:
    page = Response("<h1>Bad gateway</h1>", 502, media_type="text/html")
    record(special=lambda asked: page)("go")
    again = ask(f"replay:{tape}", "go")
    assert (again.status_code, again.text) == (502, "<h1>Bad gateway</h1>")
    assert again.headers["content-type"].startswith("text/html")


def test_what_the_gateway_itself_refuses_is_not_recorded(record: Any, vault: Vault, tape: Path) -> None:
    asks = record()
    vault.forget("r0")
    assert asks("go").status_code == 503
    assert cassette._read(tape).count(b"\n") == 1
