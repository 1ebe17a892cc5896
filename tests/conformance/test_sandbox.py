"""Sandboxes with the faults that the programs have been seen to have; a credential that stays outside."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import ccnb
from ccnb import _loop
from ccnb.mode import get as get_mode
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.conformance.test_attach import killed_at_first_event
from tests.conformance.test_modes import DEMO, run_until_clean
from tests.searching import content_of, files_below, files_with
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("docker")
PROGRAMS = ("sbx", "docker")
SECRET = "sk-ant-api03-INNERMOST-4711"  # noqa: S105 - no real one


@pytest.fixture(params=PROGRAMS)
def program(request, sandboxes):
    """Run the test by each of the two programs."""
    sandboxes.use(request.param)
    return request.param


@pytest.fixture
def sbx(sandboxes):
    """Run the test by `sbx` alone."""
    sandboxes.use("sbx")


class Asked(list):
    """What an API was asked; it answers at once, unless a test holds it back."""

    def __init__(self):
        super().__init__()
        self.answered = threading.Event()
        self.answered.set()


@pytest.fixture
def api(monkeypatch):
    """Serve what the double's proxy takes for Anthropic's API; return what it was asked, headers and body."""
    asked = Asked()

    class Api(BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            body = json.loads(text)
            asked.append({name.lower(): value for name, value in self.headers.items()} | {"body": text})
            asked.answered.wait(60)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for event in answer(body["model"], "It is done."):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("CCNB_DOUBLE_API", f"127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


def answer(model, text):
    """Yield the events of an answer with one text."""
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "usage": usage,
    }
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}
    yield {"type": "message_stop"}


# Faults that a run gets over


@pytest.mark.parametrize(
    "fault", ["create-fails 2", "banner", "other-key", "stale", "not-logged-in", "rm-asks"]
)
def test_a_run_gets_over_a_fault_of_the_program(home, places, sandboxes, program, agent, fault):
    sandboxes.faults(fault)
    options = agent("sandbox", "init; sleep 3; echo hi >x.txt; result")
    result = run_until_clean(places, **options)
    assert (result.outcome, result.error) == ("success", None)
    assert [file.path for file in result.files] == ["x.txt"]
    assert sandboxes.names == []


def test_a_daemon_that_hangs_in_the_middle_costs_no_event(home, sandboxes, program, agent, monkeypatch):
    handle = ccnb.start("Do it", **agent("sandbox", "init; sleep 3; say hello; sleep 3; result"))
    wait_for(lambda: len(handle.events) == 1)
    # What doesn't hang has its time, on a slow machine too.
    monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "6")
    sandboxes.faults("hang:ls")
    result = handle.result()
    assert (result.outcome, [event.text for event in result.events]) == ("success", ["", "hello", "done"])
    sandboxes.faults()
    wait_for(lambda: sandboxes.names == [])


@pytest.mark.parametrize("command", ["stop", "rm"])
def test_a_removal_that_hangs_once_is_made_good(home, sandboxes, sbx, agent, monkeypatch, command):
    # Time enough for all that doesn't hang, on a slow machine too, and not too long for what does.
    monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "4")
    sandboxes.faults(f"hang:{command} 1")
    assert ccnb.run("Do it", **agent("sandbox", "init; result")).outcome == "success"
    wait_for(lambda: sandboxes.names == [])


# Faults that end it


FATAL = {
    "create-fails": r"made no sandbox in 3 tries \(.*failed to run container\); run `.*`$",
    "no-kvm": r"has no hardware virtualisation that .* can use; .*, or use mode docker$",
    "no-daemon": r"daemon doesn't answer; (run `sbx daemon restart`|start Docker Desktop, or restart it)$",
    "hang": r"has not answered within 2 s; (run `sbx daemon restart`|start Docker Desktop, or restart it)$",
    "exec-breaks": r"daemon doesn't answer; (run `sbx daemon restart`|start Docker Desktop, or restart it)$",
    "unknown": r"flux capacitor discharged \(code 88\); run `.*`$",
}


def with_a_secret(options):
    """Give a run a value that must not outlast it."""
    return options | {"env": options["env"] | {"KEY": ccnb.Secret("left-behind-4711")}}


def left_in(home):
    """Return what a run that is over has no more use for: the gateway's key, its values in the clear."""
    files = [*files_below(home)]
    assert any(file.name.startswith("ccnb.sqlite3") for file in files)
    kept_in = ("env", "secrets", "gateway.json")
    return [file for file in files if file.name in kept_in or b"left-behind-4711" in content_of(file)]


@pytest.mark.parametrize("fault", FATAL)
def test_a_run_ends_with_one_sentence_and_leaves_nothing(home, sandboxes, program, agent, monkeypatch, fault):
    if fault == "hang":
        monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "2")
    sandboxes.faults(fault)
    options = with_a_secret(agent("sandbox", "init; result"))
    with pytest.raises(ccnb.CcnbError, match=FATAL[fault]) as failure:
        ccnb.run("Do it", **options)
    assert "\n" not in str(failure.value)
    sandboxes.faults()
    assert sandboxes.names == []
    assert left_in(home) == []


def test_a_start_that_hangs_ends_the_run_and_leaves_nothing(home, sandboxes, sbx, agent, monkeypatch):
    monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "3")
    sandboxes.faults("hang:exec")
    options = with_a_secret(agent("sandbox", "init; result"))
    with pytest.raises(ccnb.CcnbError, match=r"^`sbx exec` has not answered within 24 s; run `sbx daemon"):
        ccnb.run("Do it", **options)
    assert sandboxes.names == []
    assert left_in(home) == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("signed-out", "you aren't signed in to Docker, which sbx needs; run `sbx login`"),
        ("no-policy", "sbx has no network policy yet; run `sbx policy init balanced`"),
    ],
)
def test_what_sbx_wants_done_first_is_told(home, sandboxes, sbx, agent, fault, sentence):
    sandboxes.faults(fault)
    with pytest.raises(ccnb.CcnbError, match=f"^{sentence}$"):
        ccnb.run("Do it", **agent("sandbox", "init; result"))
    assert sandboxes.names == []


def test_a_sandbox_that_was_stopped_is_noticed_though_it_is_said_to_run(home, sandboxes, program, agent):
    handle = ccnb.start("Do it", **agent("sandbox", "init; sleep 300"))
    wait_for(lambda: len(handle.events) == 1)
    time.sleep(1.5)
    (name, _) = sandboxes.names
    sandboxes.call("stop", name)
    sandboxes.faults("stale")
    assert handle.result().outcome == "lost"
    wait_for(lambda: sandboxes.names == [])


def test_stop_ends_the_process_inside_with_the_sandbox(home, places, sandboxes, program, agent, tmp_path):
    commands = "init; (setsid sh -c 'while sleep 0.2; do date >>left; done' &) ; sleep 1; result"
    run_until_clean(places, workspace=str(tmp_path), **agent("sandbox", commands))
    size = (tmp_path / "left").stat().st_size
    time.sleep(1)
    assert (tmp_path / "left").stat().st_size == size > 0


def test_a_place_stays_with_the_program_that_made_it(home, places, sandboxes, agent):
    sandboxes.use("docker")
    run_id = killed_at_first_event(agent("sandbox", "init; sleep 2; result"))
    sandboxes.install("sbx")
    sandboxes.call("policy", "init", "balanced")
    assert ccnb.attach(run_id).result().outcome == "success"
    wait_for(lambda: places("sandbox") == [])


def test_a_supervisor_whose_heartbeat_is_gone_is_asked_itself(home, places, sbx, agent):
    stop_it = "cd $HOME/..; rm -f heartbeat; mkdir heartbeat; touch -d @0 heartbeat"
    commands = f"init; sleep 1.5; {stop_it}; sleep 8; result"
    result = run_until_clean(places, **agent("sandbox", commands))
    assert (result.outcome, result.error) == ("success", None)


# The credential


PLANT = r"""
plant() { printf 'INNER%s-planted-%s' MOST $1; }
plant file >/tmp/planted && chmod 600 /tmp/planted
KEY=$(plant variable) setsid sh -c 'sleep 300; :' "$(plant argument)" >/dev/null 2>&1 &
"""
"""Puts something where a credential could be: what the set-up planted shows that the look is a look."""

# The brackets keep the command from finding itself.
LOOK = r"""
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' |
    grep -ao 'INNER[M]OST-[a-z0-9-]*' | sort -u | sed 's/^/process:/'
grep -raso --exclude-dir=proc --exclude-dir=sys --exclude-dir=node_modules 'INNER[M]OST-[a-z0-9-]*' / ||
    true  # Nobody may read all files.
"""


def test_the_proxys_credential_is_nowhere_inside(home, places, sandboxes, program, api, monkeypatch):
    """Though it stands in the person's own environment, as Docker Desktop wants it."""
    sandboxes.call("secret", "set", "anthropic", text=SECRET)
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    api.answered.clear()
    run = ccnb.start("Do it", mode="sandbox", setup=PLANT, check="env")
    wait_for(lambda: api)
    (place,) = places("sandbox")
    # Root reads every file, and in a container no environment of another user's; so the agent looks too.
    found = [
        sandboxes.call("sandbox", "exec", "-u", user, place.id, "sh", "-c", LOOK, program="docker")
        for user in ("root", "agent")
    ]
    outside = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    api.answered.set()
    result = run.result()
    assert set("".join(found).splitlines()) == {
        "/tmp/planted:INNERMOST-planted-file",
        "process:INNERMOST-planted-argument",
        "process:INNERMOST-planted-variable",
    }
    assert SECRET not in outside
    assert (result.outcome, result.text) == ("success", "It is done.")
    assert {headers["x-api-key"] for headers in api} == {SECRET}
    assert SECRET not in result.check.output
    assert "ANTHROPIC_API_KEY=proxy-managed" in result.check.output
    assert files_with(SECRET, home) == []
    wait_for(lambda: places("sandbox") == [])


def test_the_stand_in_is_found_where_login_shells_alone_know_it(home, places, sandboxes, program, api):
    sandboxes.call("secret", "set", "anthropic", text=SECRET)
    sandboxes.faults("not-logged-in")
    result = run_until_clean(places, mode="sandbox")
    assert (result.outcome, {headers["x-api-key"] for headers in api}) == ("success", {SECRET})


def test_a_conversation_is_gone_on_with_in_another_sandbox(home, places, sandboxes, program, api):
    sandboxes.call("secret", "set", "anthropic", text=SECRET)
    first = run_until_clean(places, mode="sandbox")
    second = run_until_clean(places, "Go on", mode="sandbox", continues=first.run_id)
    assert (second.outcome, second.session_id) == ("success", first.session_id)
    assert "It is done." in api[-1]["body"]


def test_a_lasting_sandbox_has_the_conversation_of_the_run_that_is_in_it(home, sandboxes, sbx, api, tmp_path):
    sandboxes.call("secret", "set", "anthropic", text=SECRET)
    options = {"mode": "sandbox", "sandbox": "tools", "check": "cd ~/.claude/projects/*/ && ls *.jsonl"}
    first = ccnb.run("Do it", workspace=str(tmp_path), **options)
    second = ccnb.run("Do more", workspace=str(tmp_path), **options)
    third = ccnb.run("Go on", continues=first.run_id, **options)
    assert [run.conditions["sandbox"] for run in (first, second, third)] == ["cold", "warm", "warm"]
    assert (third.outcome, third.session_id) == ("success", first.session_id)
    assert first.check.output.split() == third.check.output.split() == [f"{first.session_id}.jsonl"]
    assert second.check.output.split() == [f"{second.session_id}.jsonl"]


def test_a_person_who_has_stored_no_credential_is_told_what_to_do(
    home, places, sandboxes, program, api, monkeypatch
):
    monkeypatch.setenv("HOME", str(home))
    result = run_until_clean(places, mode="sandbox")
    assert (result.outcome, result.error.kind) == ("infrastructure", "not_logged_in")
    assert result.error.next_action == (
        "store a credential for Docker's proxy (`ccnb doctor` says how), or pass your own with auth='env'"
    )
    assert any(
        "sbx secret set anthropic" in warning or "restart Docker Desktop" in warning
        for warning in result.warnings
    )


def test_a_persons_own_token_can_be_passed_instead(home, places, sandboxes, program, api, monkeypatch):
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-mine")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://api.anthropic.test")
    result = run_until_clean(places, mode="sandbox", auth="env")
    assert result.outcome == "success"
    assert {headers["authorization"] for headers in api} == {"Bearer sk-ant-oat01-mine"}


def test_a_scripted_model_gets_no_credential_at_all(home, places, sandboxes, program):
    sandboxes.call("secret", "set", "anthropic", text=SECRET)
    result = run_until_clean(places, mode="sandbox", **DEMO)
    assert (result.outcome, result.check.passed, len(result.calls)) == ("success", True, 5)


# What the person asks for


def test_values_with_quotes_and_line_breaks_arrive(home, places, sandboxes, program, agent):
    options = agent("sandbox", "init; result")
    options["env"] |= {"ODD": 'it\'s\n"two" $lines `of` \\n', "TOKEN": ccnb.Secret("a'b\ncdef")}
    result = run_until_clean(places, check='printf %s "$ODD"; printf %s "$TOKEN" | wc -c', **options)
    assert result.check.output == 'it\'s\n"two" $lines `of` \\n8\n'
    assert not (result.folder.inside / "env").exists()


UNREAD = {
    "odd-log": r'form that isn\'t known \(\{ "version": 2, "rows": \[\] \}\); please report it',
    "hang:policy": r"`sbx policy` has not answered within 6 s; run `sbx daemon restart`",
    "hang:network": r"`docker sandbox network` has not answered within 6 s; start Docker Desktop",
}
"""The last two are one fault of the two programs: the command that prints the log is another."""


@pytest.mark.parametrize("fault", ["odd-log", "hang"])
def test_a_log_that_can_not_be_read_is_told_as_that_and_costs_nothing_else(
    home, sandboxes, program, agent, monkeypatch, fault
):
    sandboxes.shut()
    options = agent("sandbox", "init; sleep 2; echo hi >x.txt; result")
    handle = ccnb.start("Do it", network=["a.example"], **options)
    wait_for(lambda: len(handle.events) == 1)
    if fault == "hang":
        monkeypatch.setenv("CCNB_SANDBOX_LIMIT_S", "6")
        fault = {"sbx": "hang:policy", "docker": "hang:network"}[program]
    sandboxes.faults(fault)
    result = handle.result()
    (warning,) = result.warnings
    assert re.match(f"what the place asked the network for isn't known: .*{UNREAD[fault]}", warning)
    assert (result.network, result.network_use) == ((), None)
    assert (result.outcome, [file.path for file in result.files]) == ("success", ["x.txt"])
    wait_for(lambda: sandboxes.names == [])


def test_a_list_that_sbx_does_not_hold_is_refused(home, sandboxes, sbx, agent):
    with pytest.raises(ccnb.CcnbError, match="sbx lets every sandbox reach more than is listed here"):
        ccnb.run("Do it", network=["a.example"], **agent("sandbox", "init; result"))
    assert sandboxes.names == []


def test_a_workspace_may_be_named_by_a_link(home, places, sandboxes, program, agent, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    commands = "init; pwd >where.txt; result"
    result = run_until_clean(places, workspace=str(tmp_path / "link"), **agent("sandbox", commands))
    assert result.outcome == "success"
    assert (tmp_path / "folder" / "where.txt").read_text() == f"{tmp_path}/folder\n"


def test_what_can_not_be_held_is_refused_or_told(home, places, sandboxes, program, agent):
    with pytest.raises(
        ccnb.CcnbError, match="auth 'secret' can't be used in mode sandbox; use host or gateway or env"
    ):
        ccnb.run("Do it", mode="sandbox", auth="secret")
    result = run_until_clean(places, memory_mb=900, **agent("sandbox", "init; result"))
    ignored = [warning for warning in result.warnings if "ignores" in warning]
    assert ignored == ([] if program == "sbx" else ["docker sandbox ignores memory_mb"])


def test_a_kept_sandbox_is_found_by_its_run_and_swept_alone(
    home, places, sandboxes, program, agent, tmp_path
):
    others = ["claude-mine", "ccnb-ffffff-261124101010abcde"]
    for name in others:
        sandboxes.call("sandbox", "create", "--name", name, "claude", str(tmp_path), program="docker")
    result = ccnb.run("Do it", keep=True, **agent("sandbox", "init; echo hi >x.txt; result"))
    place = Place.from_dict(Store(home).place(result.run_id))
    assert [(found.run_id, found.id) for found in places("sandbox")] == [(result.run_id, place.id)]
    looked = _loop.submit(get_mode("sandbox").exec(place, ["cat", "x.txt"])).result()
    assert (looked.code, looked.output) == (0, b"hi\n")
    assert [(swept.run_id, swept.removed) for swept in ccnb.sweep(older_than_s=0)] == [(result.run_id, True)]
    # Somebody's own, and one of another store, each with its container.
    assert set(others) <= set(sandboxes.names)
    assert len(sandboxes.names) == 4
