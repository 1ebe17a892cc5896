"""Mode `fly` beyond what every mode does: far away, over a network that fails, with limits and a price."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import ccnb
from ccnb import _loop
from ccnb.engine import connect
from ccnb.errors import CredentialError, EngineError, ImageError, ModeUnavailableError, SpecError
from ccnb.fly import Machine, prices
from ccnb.gateway import cassette
from ccnb.mode import _fly
from ccnb.mode import get as get_mode
from ccnb.mode._app_secrets import secret_name
from ccnb.mode.base import Place
from ccnb.store import Store
from tests.conformance.test_attach import killed_after
from tests.conformance.test_modes import run_until_clean
from tests.conftest import AGENT_IMAGE, agent_image
from tests.doubles import for_arm
from tests.doubles.fly.client import Double
from tests.waiting import UNTIL_TOLD, tell, wait_for

pytestmark = pytest.mark.needs("docker")

FAR = {
    "FLY_FLAPS_BASE_URL": "https://api.machines.example",
    "FLY_API_TOKEN": "fo1_no-such-token",
    "FLY_APP": "none",
    "CCNB_FLY_IMAGE": "none",
}
EXCHANGE = {
    "request": {"system": [], "tools": [], "messages": []},
    "headers": {},
    "status": 200,
    "answer_headers": {},
    "answer": {},
    "first_byte_s": 0.0,
    "duration_s": 0.0,
}


SHARING_CLIENT = """
import ccnb
env = {"AGENT": "init; result", "KEY": ccnb.Secret("hush-4711-hush")}
print(ccnb.run("Do it", mode="fly", api="script:demo", env=env).outcome)
"""


@pytest.fixture
def own_double(home, monkeypatch, tmp_path):
    """Return a function that starts a double with settings of the test's own, and points mode `fly` to it."""
    agent_image("docker")
    started = []

    def start(**settings) -> Double:
        double = Double(**settings)
        started.append(double)
        double.set(faults=0.0)
        double.make_app("own")
        double.set(faults=settings.get("faults", 0.0))
        double.forget()
        for name, value in double.environment("own", AGENT_IMAGE).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("FLY_CONFIG_DIR", str(tmp_path / "no-flyctl"))
        return double

    yield start
    for double in started:
        double.__exit__()


def options(commands: str, **more) -> dict:
    return {"mode": "fly", "api": "script:demo", "env": {"AGENT": commands}} | more


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api": "script:demo"}, "can't reach; use api='live'"),
        ({"api": "replay:tape.jsonl"}, "can't reach; use api='live'"),
        ({"api": "record:tape.jsonl"}, "needs the gateway beside the place.*such as docker"),
        ({"auth": "gateway"}, "auth 'gateway' can't be used in mode fly; use secret or env"),
        ({"network": "none"}, "would cut a machine of Fly.io off"),
        ({"network": ["a.org", "b.org:8443"]}, "network .'a.org', 'b.org:8443'. would cut a machine"),
        ({"cpus": 40}, "no machine with 40.0 cpus"),
    ],
)
def test_what_makes_no_sense_far_away_is_refused(home, monkeypatch, given, says):
    """The suite's tests of these are for the other modes alone (`near_modes`)."""
    cassette.begin(home / "tape.jsonl", "ANTHROPIC_API_KEY")
    with (home / "tape.jsonl").open("a") as tape:
        tape.write(json.dumps({"exchange": EXCHANGE}) + "\n")
    for name, value in FAR.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "no-such-key")
    with pytest.raises(SpecError, match=says):
        ccnb.run("Do it", mode="fly", **given)


def test_what_is_missing_is_said_and_nothing_is_left(home, fly_platform, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, error, says in (
        ("CCNB_FLY_IMAGE", ImageError, "no image was pushed.*run `ccnb fly build`"),
        ("FLY_APP", ModeUnavailableError, "run `ccnb fly setup`"),
        ("FLY_API_TOKEN", CredentialError, "no token for Fly.io"),
    ):
        monkeypatch.delenv(name)
        with pytest.raises(error, match=says):
            ccnb.run("Do it", mode="fly", api="script:demo")
        readiness = _loop.submit(get_mode("fly").probe()).result()
        assert not readiness.ready
        assert readiness.next_action
    assert fly_platform.report()["created"] == []


@pytest.mark.parametrize(
    ("variables", "error", "says"),
    [
        ({"FLY_API_TOKEN": "fm2_expired"}, CredentialError, "token for Fly.io has expired.*make a new one"),
        ({"FLY_APP": "taken"}, EngineError, "the app is another's: use a token of its owner, or another app"),
        ({"FLY_REGION": "xxx"}, EngineError, "no capacity.*name another region"),
        ({"CCNB_FLY_IMAGE": "localhost:1/none:1"}, ImageError, "doesn't have the image.*`ccnb fly build`"),
        ({"CCNB_FLY_IMAGE": for_arm.NAME}, ImageError, "for another processor.*run `ccnb fly build`"),
    ],
)
def test_what_the_platform_refuses_is_one_sentence_and_leaves_nothing(
    home, places, own_double, monkeypatch, variables, error, says
):
    double = own_double()
    for_arm.load()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=says) as caught:
        ccnb.run("Do it", mode="fly", api="script:demo")
    assert "\n" not in str(caught.value)
    report = double.report()
    assert (report["created"], report["secrets"]["own"]) == ([], [])


def test_auto_never_goes_far_away(home, fly_platform):
    readiness = _loop.submit(get_mode("fly").probe()).result()
    assert readiness.ready
    assert readiness.remote


def test_a_secret_is_the_apps_for_as_long_as_a_machine_needs_it(home, places, own_double):
    double = own_double()
    commands = 'init; printf %s "$KEY" | wc -c >length; env >&2; say "$KEY"; ' + UNTIL_TOLD + "; result"
    handle = ccnb.start(
        "Do it", **options(commands, env={"AGENT": commands, "KEY": ccnb.Secret("hush-4711-hush")})
    )
    wait_for(lambda: len(handle.events) == 2)
    machines = double.call("GET", "/v1/apps/own/machines").text
    assert "hush-4711-hush" not in machines
    assert "sk-ant" not in machines
    assert len(double.report()["secrets"]["own"]) == 2
    tell(handle.run_id)
    result = handle.result()
    assert (result.workspace / "length").read_text().strip() == "14"
    wait_for(lambda: double.report()["secrets"]["own"] == [])
    assert double.report()["machines"] == {}
    # What a machine prints comes by a way of its own.
    wait_for(lambda: "ccnb: agent" in double.call("GET", "/api/v1/apps/own/logs").text)
    log = double.call("GET", "/api/v1/apps/own/logs").text
    assert "hush-4711-hush" not in log
    assert "sk-ant" not in log


def test_runs_with_one_token_share_its_secret_which_goes_with_the_last(home, places, own_double):
    double = own_double()
    name = secret_name(ccnb.Secret("hush-4711-hush"))

    def environment(commands: str) -> dict:
        return {"AGENT": commands, "KEY": ccnb.Secret("hush-4711-hush")}

    until_told = "init; until [ -e told ]; do sleep 0.2; done; result"
    last = ccnb.start("Do it", **options("", env=environment(until_told)))
    wait_for(lambda: len(last.events) == 1)
    (place,) = places("fly")
    shared = double.report()["secrets"]["own"]
    assert name in shared
    here = ccnb.run("Do it", **options("", env=environment("init; result")))
    wait_for(lambda: Store(home).place(here.run_id) is None)
    assert double.report()["secrets"]["own"] == shared
    # Another process knows of the last run by its machine alone.
    elsewhere = subprocess.run(
        [sys.executable, "-c", SHARING_CLIENT], capture_output=True, text=True, check=True
    )
    assert elsewhere.stdout.split() == ["success"]
    assert double.report()["secrets"]["own"] == shared
    _loop.submit(get_mode("fly").exec(place, ["touch", "told"])).result()
    assert last.result().outcome == "success"
    wait_for(lambda: double.report()["secrets"]["own"] == [])


def test_a_secret_stands_in_the_machines_environment_when_that_is_asked_for(home, places, own_double):
    double = own_double()
    handle = ccnb.start("Do it", **options(f"init; {UNTIL_TOLD}; result", auth="env"))
    wait_for(lambda: len(handle.events) == 1)
    assert "sk-ant" in double.call("GET", "/v1/apps/own/machines").text
    assert double.report()["secrets"]["own"] == []
    tell(handle.run_id)
    assert handle.result().outcome == "success"


def test_what_a_machine_costs_is_said_before_and_after(home, places, own_double):
    own_double()
    lines = []
    result = ccnb.run("Do it", **options("init; sleep 2; result", keep_s=3600), on_progress=lines.append)
    (said,) = [line for line in lines if "costs about" in line]
    assert "a machine of shared-cpu-2x, 2048 MB in arn costs about $0.016 an hour" in said
    assert "wait 1.0 h there, for $0.02 at most" in said
    an_hour = float(result.conditions["machine_usd_per_hour"])
    assert 2 / 3600 * an_hour < result.machine_usd < result.timings.wall_s / 3600 * an_hour + 1e-6
    assert result.conditions["machine_prices_as_of"] == prices.AS_OF


def test_files_of_any_number_and_size_come_through_whole(home, places, own_double, tmp_path):
    own_double()
    for number in range(1000):
        file = tmp_path / f"d{number % 10}" / f"f{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n" * 20)
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / "ignored").mkdir()
    (tmp_path / "ignored" / "mine").write_text("stays")
    commands = (
        "init; find . -name 'f*.txt' | wc -l >count; ls >seen; rm d3/f3.txt; echo more >>d4/f4.txt; "
        "head -c 20000000 /dev/urandom >large; sha256sum large >sum; result"
    )
    result = run_until_clean(places, **options(commands, workspace=str(tmp_path)))
    assert result.outcome == "success", result.error
    assert (tmp_path / "count").read_text().strip() == "1000"
    assert "ignored" not in (tmp_path / "seen").read_text()
    assert (tmp_path / "ignored" / "mine").read_text() == "stays"
    assert not (tmp_path / "d3" / "f3.txt").exists()
    assert (tmp_path / "d4" / "f4.txt").read_text().endswith("more\n")
    subprocess.run(["sha256sum", "--check", "--quiet", "sum"], cwd=tmp_path, check=True)
    assert {(f.path, f.change) for f in result.files} >= {("d3/f3.txt", "removed"), ("d4/f4.txt", "changed")}


def test_the_files_may_come_before_the_machines_first_process_has_begun(home, places, own_double):
    own_double(boot_s=3.0)
    result = run_until_clean(places, **options("init; echo x >made; result"))
    assert (result.outcome, [f.path for f in result.files]) == ("success", ["made"])


def test_a_workspace_that_is_too_large_is_refused_with_what_to_do(home, places, own_double, tmp_path):
    own_double()
    with (tmp_path / "large").open("wb") as file:
        for _ in range(26):
            file.write(os.urandom(4 << 20))
    with pytest.raises(SpecError, match="larger than 100 MB"):
        ccnb.run("Do it", **options("result", workspace=str(tmp_path)))
    assert places("fly") == []


def test_with_every_fifth_call_failing_every_run_is_done_once_and_whole(home, places, own_double):
    runs = 30
    double = own_double(faults=0.2, hang_s=1.0, drop=0.3, repeat=0.1, delay_s=5.0)
    commands = "init; for i in 1 2 3 4 5; do say $i; sleep 0.5; done; echo x >made; result"
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda _: ccnb.run("Do it", **options(commands)), range(runs)))
    assert [r.outcome for r in results] == ["success"] * runs
    for result in results:
        assert [e.text for e in result.events] == ["", "1", "2", "3", "4", "5", "done"]
        assert [f.path for f in result.files] == ["made"]
    wait_for(lambda: double.report()["machines"] == {}, 60)
    report = double.report()
    assert sorted(report["created"]) == sorted(f"ccnb-{r.run_id}" for r in results)
    assert sum(n for name, n in report["counts"].items() if name.startswith("fault")) > runs
    assert report["against_specification"] in (None, [])


def test_many_runs_at_once_keep_to_the_platforms_limits(home, places, own_double):
    runs = 20
    double = own_double()
    handles = [ccnb.start("Do it", **options("init; sleep 1; result")) for _ in range(runs)]
    assert [h.result().outcome for h in handles] == ["success"] * runs
    wait_for(lambda: double.report()["machines"] == {}, 60)
    assert double.report()["violations"] == []


def test_the_end_of_the_agent_is_known_within_two_seconds(home, places, own_double):
    own_double(latency_s=0.08)
    commands = "init; sleep 3; date +%s.%N >/workspace/ended; result"

    def measured_s() -> float:
        handle = ccnb.start("Do it", **options(commands))
        at = next(time.time() for event in handle if event.type == "result")
        result = handle.result()
        late_s = at - float((result.workspace / "ended").read_text())
        assert late_s > 0
        return late_s

    # A busy machine can only add to it, so the least of several counts.
    assert any(measured_s() < 2 for _ in range(5))


def test_a_client_killed_late_costs_nothing_either(home, places, own_double):
    """The suite kills in the first seconds, in which a machine far away has hardly begun."""
    double = own_double()
    for delay_s in (4.0, 5.0, 7.0):
        run_id = killed_after(options("init; echo x >made; result"), delay_s)
        result = ccnb.attach(run_id).result()
        assert (result.outcome, result.error) == ("success", None)
        assert [f.path for f in result.files] == ["made"]
        wait_for(lambda: places("fly") == [])
    assert len(double.report()["created"]) == 3
    wait_for(lambda: double.report()["secrets"]["own"] == [])


def test_without_anybody_watching_it_is_looked_at_seldom(home, places, own_double):
    double = own_double()
    handle = ccnb.start("Do it", **options("init; sleep 30; result"))
    wait_for(lambda: handle.state == "running")
    time.sleep(6)
    before = double.report()["counts"]["POST machine exec 200"]
    time.sleep(5)
    assert double.report()["counts"]["POST machine exec 200"] - before <= 1
    assert handle.result().outcome == "success"


def test_a_platform_that_is_away_for_a_while_costs_nothing(home, places, own_double):
    double = own_double()
    handle = ccnb.start(
        "Do it", **options("init; for i in 1 2 3; do say $i; sleep 1; done; echo x >made; result")
    )
    wait_for(lambda: len(handle.events) >= 1)
    os.kill(double.pid, signal.SIGSTOP)
    time.sleep(8)
    os.kill(double.pid, signal.SIGCONT)
    result = handle.result()
    assert (result.outcome, [e.text for e in result.events][1:4]) == ("success", ["1", "2", "3"])
    assert [f.path for f in result.files] == ["made"]


def test_a_place_that_runs_out_of_memory_says_so(home, places, own_double):
    own_double()
    commands = "init; head -c 900000000 /dev/zero | tail >/dev/null; exit 137"
    result = run_until_clean(places, **options(commands, memory_mb=512))
    assert result.error.kind == "out_of_memory"
    assert "memory_mb" in str(result.error)


@pytest.mark.parametrize(
    ("said", "code", "detail"),
    [
        ({}, 0, "the machine ended with 0"),
        ({"exit_code": 1}, 0, "the machine ended with 0 (by its event 1, of its process 0)"),
        ({"exit_code": 1, "guest_exit_code": 3}, 3, "ended with 3 (by its event 1, of its process 3)"),
        ({"exit_code": 137, "guest_exit_code": 137, "oom_killed": True}, 137, "with 137, out of memory"),
    ],
)
def test_where_a_machine_and_its_process_disagree_both_are_said(said, code, detail):
    event = {"type": "exit", "request": {"exit_event": said}}
    state = _fly.ended(Machine.of({"id": "1", "state": "stopped", "events": [event]}))
    assert (state.status, state.code) == ("ended", code)
    assert detail in state.detail


def test_the_supervisors_notes_count_for_more_than_the_machines_end_which_is_noted(home, places, own_double):
    own_double()
    handle = ccnb.start("Do it", **options("init; result", check="sleep 100"))
    # The agent's output comes by another file than the supervisor's notes.
    wait_for(lambda: handle.state == "checking" and len(handle.events) == 2)
    (place,) = places("fly")
    connect("docker").api.kill(f"fly-double-{place.id}")
    result = handle.result()
    assert (result.outcome, result.exit_code) == ("lost", 0)
    (noted,) = [text for text in result.warnings if "which count" in text]
    assert "the agent ended with 0" in noted
    assert "the machine ended with 137" in noted


def test_a_machine_that_is_removed_behind_us_is_lost_and_said(home, places, own_double):
    double = own_double()
    handle = ccnb.start("Do it", **options("init; sleep 100"))
    wait_for(lambda: len(handle.events) == 1)
    (place,) = places("fly")
    double.call("DELETE", f"/v1/apps/own/machines/{place.id}?force=true")
    result = handle.result()
    assert (result.outcome, result.error.kind) == ("lost", "place_lost")


def test_a_machine_that_goes_before_the_agents_last_words_are_read_is_lost_too(home, places, own_double):
    double = own_double()
    removed = []

    def remove_when_it_has_ended(_event):
        (row,) = Store(home).runs()
        if "agent" in row.progress.marks and not removed:
            removed.append(Store(home).place(row.run_id)["id"])
            double.call("DELETE", f"/v1/apps/own/machines/{removed[0]}?force=true")

    # So much, and so hard to compress, that it comes in many pieces; and written much faster than it is read.
    talk = """head -c 6000000 /dev/urandom | base64 -w 4000 | sed "s|.*|$(say '&')|" """
    given = options(f"init; {talk}; result")
    result = ccnb.run("Do it", on_event=remove_when_it_has_ended, **given)
    assert removed
    assert (result.outcome, result.error.kind) == ("lost", "place_lost")
    assert 1 < len(result.events) < 1_500


def test_a_shell_without_flyctl_takes_a_line_at_a_time(home, places, own_double, monkeypatch):
    own_double()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = ccnb.run("Do it", **options("init; mkdir inner; echo hi >inner/x.txt; result", keep=True))
    command = get_mode("fly").shell(Place.from_dict(Store(home).place(result.run_id)))
    assert command[0] == sys.executable
    done = subprocess.run(
        command, input="cd inner\ncat x.txt\nid -u\n", capture_output=True, text=True, check=True
    )
    assert "hi\n" in done.stdout
    assert "1000\n" in done.stdout
    assert [s.removed for s in ccnb.sweep(older_than_s=0)] == [True]


@pytest.mark.live
def test_the_real_platform_does_the_usual_task(home):
    result = ccnb.run("Write 'hello' to hello.txt", mode="fly", timeout_s=300)
    assert result.outcome == "success"
    assert [f.path for f in result.files] == ["hello.txt"]
