"""With `auth="gateway"` the real agent asks the API from every mode, and its place has no credential."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import httpx
import pytest

import ccnb
from ccnb.engine import connect
from tests.conformance.test_attach import CLIENT, client, kill
from tests.conformance.test_engines import CLIENT as ENGINES_CLIENT
from tests.conformance.test_modes import run_until_clean
from tests.conftest import agent_image, near_modes
from tests.modelapi import API_KEY, DO_IT, OAUTH_TOKEN, ModelApi
from tests.searching import files_with
from tests.waiting import kill_gateway, tell, wait_for

SLOW = """
- say: I make a file.
  tools: [Bash: {command: "echo one >$CWD/one.txt; sleep 2.5", description: make a file}]
- say: One two three four five six seven eight nine ten eleven twelve.
  pace: 0.5
"""

PLANTED = "localhost/ccnb-test-planted:1"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@pytest.fixture
def api(home, monkeypatch):
    """Return a function that starts a server in the API's place and lets runs find it, with a credential."""
    running = []

    def start(script=DO_IT, variable="ANTHROPIC_API_KEY", **more):
        value = API_KEY if variable == "ANTHROPIC_API_KEY" else OAUTH_TOKEN
        server = ModelApi(script, credential=value, **more).__enter__()
        running.append(server)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv(variable, value)
        return server

    yield start
    for server in running:
        server.__exit__()


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
@near_modes
def test_the_real_agent_does_its_task_through_the_gateway(
    home, places, mode, closed, inside, api, variable, tmp_path
):
    server = api(variable=variable, workspace=inside(tmp_path))
    options = {"mode": mode, "auth": "gateway", "network": closed, "workspace": str(tmp_path)}
    result = run_until_clean(places, "Make two files", **options)
    assert (result.outcome, result.error, result.warnings) == ("success", None, ())
    assert {f.path for f in result.files} == {"one.txt", "two.txt"}
    assert [call["status"] for call in result.calls] == [200, 200, 200]
    assert result.usage.output_tokens == sum(call["output_tokens"] for call in result.calls)
    is_token = variable == "CLAUDE_CODE_OAUTH_TOKEN"
    for asked in server.asked:
        carried = {k: v for k, v in asked.headers.items() if k in ("x-api-key", "authorization")}
        expected = {"authorization": f"Bearer {OAUTH_TOKEN}"} if is_token else {"x-api-key": API_KEY}
        assert carried == expected
        assert ("oauth-2025-04-20" in asked.headers["anthropic-beta"]) == is_token


@near_modes
@pytest.mark.usefixtures("holds_lists")
def test_with_a_list_of_hosts_the_model_is_still_reached_through_the_gateway(home, places, mode, api):
    server = api()
    check = "git ls-remote https://other.example.org/x"
    options = {"mode": mode, "auth": "gateway", "network": ["api.example.org"], "check": check}
    result = run_until_clean(places, "Make two files", **options)
    assert (result.outcome, result.error) == ("success", None)
    assert len(server.asked) == 3
    assert [(c.host, c.allowed) for c in result.network] == [("other.example.org", False)]


@near_modes
def test_the_agent_takes_the_stand_in_for_a_credential_of_its_kind(home, places, mode, api, monkeypatch):
    """Its default model depends on that."""
    models = {}
    for variable in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        server = api("- Hello.", variable=variable)
        run_until_clean(places, "Say hello", mode=mode, auth="gateway").raise_for_error()
        models[variable] = server.asked[0].body["model"]
        monkeypatch.delenv(variable)
    assert "opus" in models["ANTHROPIC_API_KEY"]
    assert "sonnet" in models["CLAUDE_CODE_OAUTH_TOKEN"]


@pytest.mark.parametrize(
    ("variable", "auth"), [("ANTHROPIC_API_KEY", "gateway"), ("CLAUDE_CODE_OAUTH_TOKEN", "env")]
)
def test_the_default_is_the_gateway_for_a_key_and_the_place_for_a_token(home, api, agent, variable, auth):
    api(variable=variable)
    options = agent("local", "init; env >seen.txt; result") | {"api": "live", "isolation": "none"}
    result = ccnb.run("Do it", **options)
    assert result.spec.auth == auth
    seen = (result.workspace / "seen.txt").read_text()
    assert (OAUTH_TOKEN in seen, API_KEY in seen) == (auth == "env", False)


def everything_in(container: str, engine: str) -> bytes:
    """Return what an engine tells of a container and its image, and what its processes and files hold."""
    look = (
        "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; "
        "find / -xdev -path /proc -prune -o -type f -size -2000k -print0 2>/dev/null "
        "| xargs -0 grep -laF -e sk-ant- 2>/dev/null | xargs -r cat; "
        "cat /ccnb/* /ccnb/*/* /ccnb/*/*/* /workspace/* 2>/dev/null"
    )
    image = said(engine, "inspect", "--format", "{{.Image}}", container).decode().strip()
    return b"".join(
        (
            said(engine, "inspect", container),
            said(engine, "image", "inspect", image),
            said(engine, "history", "--no-trunc", image),
            said(engine, "exec", "--user", "0", container, "sh", "-c", look, check=False),
            said(engine, "logs", container),
        )
    )


def said(*command, check=True) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout + done.stderr


def words_in_layers(engine: str, image: str, words: Iterable[str]) -> set[str]:
    """Return which of some words stand in an image as it is stored, also where a later layer hides them."""
    found: set[str] = set()
    with subprocess.Popen([engine, "save", image], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        with tarfile.open(fileobj=saving.stdout, mode="r|") as archive:
            # What else there is are links, for layers that come twice.
            for member in filter(tarfile.TarInfo.isreg, archive):
                found |= words_in(unzipped(archive.extractfile(member)), words)
        saving.stdout.read()
    assert saving.returncode == 0
    return found


def unzipped(file: io.BufferedReader) -> IO[bytes]:
    start = file.peek(4)
    assert not start.startswith(ZSTD), "these layers can't be read here"
    return gzip.GzipFile(fileobj=file) if start.startswith(GZIP) else file


def words_in(file: IO[bytes], words: Iterable[str]) -> set[str]:
    found: set[str] = set()
    rest = b""
    while piece := file.read(1 << 20):
        rest += piece
        found |= {word for word in words if word.encode() in rest}
        # A word may begin in one piece and end in the next.
        rest = rest[-max(map(len, words)) :]
    return found
    return b""


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_the_credential_is_nowhere_in_a_container(home, places, engine_mode, api, variable):
    looked = threading.Event()

    def wait_for_the_look(_):
        if len(server.asked) > 1:
            looked.wait(300)

    server = api(SLOW, variable=variable, special=wait_for_the_look)
    run = ccnb.start("Make a file", mode=engine_mode, auth="gateway")
    wait_for(lambda: len(server.asked) == 2)
    (place,) = places(engine_mode)
    found = everything_in(place.id, engine_mode)
    # The look does find what is there: the run key, in the agent's environment.
    key = json.loads((home / "runs" / run.run_id / "gateway.json").read_text())["key"]
    assert key.encode() in found
    for secret in (API_KEY, OAUTH_TOKEN):
        assert secret.encode() not in found
        assert files_with(secret, home) == []
    looked.set()
    result = run.result()
    assert (result.outcome, result.error) == ("success", None)
    assert files_with(key, home) == []
    assert [f for s in (API_KEY, OAUTH_TOKEN) for f in files_with(s, home)] == []
    assert words_in_layers(engine_mode, result.conditions["image"], (API_KEY, OAUTH_TOKEN)) == set()
    wait_for(lambda: places(engine_mode) == [])


def test_a_word_that_a_later_layer_removed_is_found(home, engine_mode):
    """Else the look at the layers above would hold nothing."""
    word = "a-word-that-was-there-for-one-layer"
    # In two parts, so that the history doesn't have it.
    make = f"RUN printf {word[:9]}%s {word[9:]} >/planted"
    recipe = io.BytesIO(f"FROM {agent_image(engine_mode)}\n{make}\nRUN rm /planted\n".encode())
    list(connect(engine_mode).api.build(fileobj=recipe, tag=PLANTED, rm=True))
    assert words_in_layers(engine_mode, PLANTED, (word, API_KEY)) == {word}


def test_what_the_look_above_would_find(home, places, engine_mode, api):
    """With `auth="env"` it is in the place's environment, and in the run's private file while it lasts."""
    api(SLOW, variable="CLAUDE_CODE_OAUTH_TOKEN")
    run = ccnb.start("Make a file", mode=engine_mode, auth="env")
    wait_for(lambda: run.state == "running")
    (place,) = places(engine_mode)
    assert OAUTH_TOKEN.encode() in everything_in(place.id, engine_mode)
    assert [Path(f).name for f in files_with(OAUTH_TOKEN, home)] == ["secrets"]
    run.cancel()
    run.result()
    assert files_with(OAUTH_TOKEN, home) == []


@near_modes
def test_the_client_killed_during_an_answer_costs_nothing(home, places, mode, api):
    server = api(SLOW)
    process = client({"mode": mode, "auth": "gateway"}, CLIENT)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: len(server.asked) == 2)
    time.sleep(1)
    kill(process)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    assert result.text.startswith("One two three")
    assert [call["end"] for call in result.calls] == ["complete", "complete"]
    assert len(server.asked) == 2
    wait_for(lambda: places(mode) == [])


@near_modes
def test_client_and_gateway_killed_the_next_attach_brings_both_back(home, places, mode, api):
    server = api(SLOW)
    process = client({"mode": mode, "auth": "gateway"}, CLIENT)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: len(server.asked) == 2)
    kill(process)
    kill_gateway(home)
    time.sleep(1)
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.error) == ("success", None)
    assert result.text.startswith("One two three")
    assert result.calls[-1]["end"] == "complete"
    wait_for(lambda: places(mode) == [])


@pytest.mark.needs("bubblewrap")
def test_the_gateway_killed_the_living_client_brings_it_back(home, places, api):
    server = api(SLOW)
    run = ccnb.start("Make a file", mode="local", auth="gateway")
    wait_for(lambda: len(server.asked) == 2)
    kill_gateway(home)
    result = run.result()
    assert (result.outcome, result.error, result.warnings) == ("success", None, ())
    assert result.text.startswith("One two three")


@pytest.mark.needs("bubblewrap")
def test_who_attaches_without_the_credential_is_told(home, places, api, monkeypatch):
    server = api(SLOW)
    process = client({"mode": "local", "auth": "gateway"}, CLIENT)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: len(server.asked) == 2)
    kill(process)
    kill_gateway(home)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    run = ccnb.attach(run_id)
    lines = home / "runs" / run_id / "calls.jsonl"
    wait_for(lambda: "no_credential" in lines.read_text(), 60)
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
    result = run.result()
    assert (result.outcome, result.error) == ("success", None)
    assert any("no token found" in warning for warning in result.warnings)
    assert {call["refused"] for call in result.calls} == {None, "no_credential"}


@pytest.mark.needs("bubblewrap")
def test_a_credential_that_the_api_refuses_ends_the_run(home, places, api, monkeypatch):
    api()
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY + "-wrong")
    begun = time.monotonic()
    result = run_until_clean(places, mode="local", auth="gateway")
    assert (result.outcome, result.error.kind) == ("infrastructure", "authentication_failed")
    assert time.monotonic() - begun < 30


@pytest.mark.needs("bubblewrap")
def test_a_rate_limit_passes_with_its_pause_and_the_run_says_so(home, places, api):
    # On a slow machine the agent itself takes seconds to its first word.
    api("- {error: 429, retry_after: 18, times: 1, say: At last.}")
    health = set()
    run = ccnb.start("Do it", mode="local", auth="gateway", stall_s=15)
    while not run.done:
        health.add(run.health)
        time.sleep(0.05)
    result = run.result()
    assert (result.outcome, result.text) == ("success", "At last.")
    assert [call["status"] for call in result.calls] == [429, 200]
    assert "rate_limited" in health


@pytest.mark.parametrize("auth", ["host", "secret"])
def test_ways_that_are_not_there_yet_are_refused(home, auth):
    with pytest.raises(ccnb.CcnbError, match="use env or gateway"):
        ccnb.run("Do it", mode="local", auth=auth)


def test_without_a_credential_nothing_is_started(home):
    with pytest.raises(ccnb.CcnbError, match="no token found"):
        ccnb.run("Do it", mode="local", auth="gateway")
    assert ccnb.runs() == []


@pytest.mark.parametrize("status", [200, 429])
def test_a_silent_agent_is_not_wedged_while_the_api_is_busy(home, places, agent, tmp_path, status):
    """Agents have been seen to wait without a word; then only the gateway knows that they do."""
    (tmp_path / "busy.yaml").write_text("- Hi." if status == 200 else "- error: 429")
    # What isn't taken for a wedge comes to its end.
    silent_s = 60 if status == 200 else 6
    commands = f"init; until [ -e told ]; do say x; sleep 0.2; done; sleep {silent_s}; result"
    options = agent("local", commands) | {"api": f"script:{tmp_path}/busy.yaml"}
    run = ccnb.start("Do it", stall_s=2, **options)
    wait_for(lambda: len(run.events) > 1)
    address = json.loads((home / "gateway.state").read_text())["folder"] + "/s/api.sock"
    key = json.loads((home / "runs" / run.run_id / "gateway.json").read_text())["key"]
    body = {"model": "m", "messages": [], "tools": [{"name": "Bash"}]}
    with httpx.Client(transport=httpx.HTTPTransport(uds=address)) as caller:
        reply = caller.post("http://localhost/v1/messages", headers={"x-api-key": key}, json=body)
    assert reply.status_code == status
    tell(run.run_id)
    assert run.result().outcome == ("wedged" if status == 200 else "success")


@pytest.mark.needs("root", "unshare")
def test_the_gateway_is_reached_by_its_address_where_its_socket_cannot_be_seen(home, engine_mode, api):
    server = api()
    (home / "hidden").mkdir()
    options = json.dumps({"mode": engine_mode, "auth": "gateway"})
    mount = f"mount -t tmpfs none {home}/hidden"
    inner = f'{mount} && CCNB_HOME={home}/hidden/home exec {sys.executable} -c "$0" "$1"'
    told = json.loads(said("unshare", "--mount", "sh", "-c", inner, ENGINES_CLIENT, options))
    assert told["outcome"] == "success", told
    assert set(told["files"]) == {"one.txt", "two.txt"}
    assert [asked.headers["x-api-key"] for asked in server.asked] == [API_KEY] * 3
