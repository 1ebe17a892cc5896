"""What a `%%cc` cell does, in an IPython of its own and in real kernels."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel

import ccnb
from ccnb.store import Store
from tests.magics.conftest import complaint, texts
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("bubblewrap")

BEAT = """
async def beat():
    while not seen.exists():
        await asyncio.sleep(0.1)
    for _ in range(15):
        await asyncio.sleep(0.1)
    go.touch()

task = asyncio.get_running_loop().create_task(beat())
"""
DEMO = "-m local --api script:demo"


def test_the_result_is_the_cells_value_and_a_variable(shell):
    ran = shell.run(f"%%cc {DEMO} --out mine --check 'test -s wordcount.sh'\nWrite a word counter.")
    assert ran.error is None
    assert (ran.value.outcome, ran.value.check.passed) == ("success", True)
    assert shell.ip.user_ns["mine"] is ran.value
    assert "▸ Bash sh wordcount.sh sample.txt" in ran.out
    assert "success, check passed" not in ran.err


def test_the_body_is_the_prompt_as_it_is(shell, double):
    body = "Use {x} and ${HOME}, \"quotes\", 'more', 100% and\n  indented\n"
    shell.run("x = 3")
    ran = shell.run(f"{double('init; result')}\n{body}")
    assert ran.value.spec.prompt == body.strip("\n")


def test_expand_puts_variables_in(shell, double):
    shell.run("name = 'a poem'\nlimit = '5'")
    ran = shell.run(
        f"{double('init; result')} --expand --check 'test {{limit}} = 5'\nWrite {{name}}, as {{'json': 1}}."
    )
    assert ran.value.spec.prompt == "Write a poem, as {'json': 1}."
    assert ran.value.check.passed


def test_a_line_is_a_prompt_too(shell, double):
    ran = shell.run(
        double("init; result", "%cc") + ' --quiet --out mine Write {x} and it\'s "so" -- --really'
    )
    assert ran.value.spec.prompt == 'Write {x} and it\'s "so" -- --really'
    assert shell.ip.user_ns["mine"] is ran.value
    assert "▸" not in ran.out
    ran = shell.run(double("init; result", "%cc") + " -- --dashes first")
    assert ran.value.spec.prompt == "--dashes first"


def test_quiet_shows_the_result_alone(shell):
    assert "▸" not in shell.run(f"%%cc {DEMO} --quiet\nGo.").out


@pytest.mark.needs("docker")
def test_several_modes_are_a_comparison(shell):
    ran = shell.run("%%cc --mode local,docker --api script:demo --out both\nWrite a word counter.")
    assert isinstance(ran.value, ccnb.Comparison)
    assert shell.ip.user_ns["both"] is ran.value
    assert sorted((r.mode, r.outcome) for r in ran.value.results()) == [
        ("docker", "success"),
        ("local", "success"),
    ]
    assert "2 of 2 runs count" in repr(ran.value)
    for mode in ("local", "docker"):
        assert re.search(rf"^{mode}$", ran.out, re.MULTILINE)
    assert ran.out.count("▸ Bash sh wordcount.sh sample.txt") == 4


def test_a_mode_that_fails_keeps_its_row_and_says_why(shell, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    ran = shell.run("%%cc --mode docker,local --api script:demo\nGo.")
    rows = ran.value.frame.set_index("arm")
    assert rows.loc["docker", "outcome"] == "infrastructure"
    assert rows["counted"].to_dict() == {"docker": False, "local": True}
    assert "docker: no docker engine answers" in ran.err


def test_one_mode_of_a_list_is_a_comparison_too_and_reuse_finds_it_again(shell, tmp_path):
    (tmp_path / "a.txt").write_text("one")
    cell = f"%%cc --mode local, --api script:demo --reuse --workspace {tmp_path} --copy\nGo."
    first = shell.run(cell).value
    assert shell.run(cell).value.frame["run_id"].tolist() == first.frame["run_id"].tolist()
    (tmp_path / "a.txt").write_text("two")
    assert shell.run(cell).value.frame["run_id"].tolist() != first.frame["run_id"].tolist()


def test_the_interrupt_stops_a_comparison_and_says_what_is_kept(shell, double, home, places):
    interrupt_when_running(home)
    ran = shell.run(f"{double('init; say begun; sleep 60')} -m local,\nGo.")
    assert "UsageError: interrupted: its runs were stopped and cleaned up, and are kept" in ran.err
    assert [row.outcome for row in ccnb.runs()] == ["cancelled"]
    # The place goes behind the result.
    wait_for(lambda: places("local") == [])
    name = re.search(r"ccnb\.Comparison\('(.+?)'\)", ran.err)[1]
    assert ccnb.Comparison(name).frame["counted"].tolist() == [False]


def test_in_the_background_the_value_is_the_live_run(shell, double):
    ran = shell.run(f"{double('init; sleep 1; say hello; result')} --bg --out live\nGo.")
    run = shell.ip.user_ns["live"]
    assert isinstance(run, ccnb.Run)
    assert f"%cc_attach {run.run_id}" in ran.out
    shown = shell.run(f"%cc_attach {run.run_id}")
    assert "hello" in shown.out
    assert shown.value.outcome == "success"


def test_a_notebook_keeps_the_end_of_what_went_on_behind(notebook, double):
    made = notebook(
        "%load_ext ccnb",
        f"{double('init; sleep 1; say hello; result')} --bg --out live\nGo.",
        "live.result()",
        "import time; time.sleep(0.5)",
    )
    shown = made.cells[1].outputs[1].data
    assert shown["text/plain"].startswith("local: success")
    assert "hello" in shown["text/html"]
    assert "application/vnd.jupyter.widget-view+json" not in shown


def test_stop_ends_a_run(shell, double):
    shell.run(f"{double('init; sleep 60; result')} --bg --out live\nGo.")
    run = shell.ip.user_ns["live"]
    while run.state != "running":
        time.sleep(0.05)
    assert shell.run(f"%cc_stop {run.run_id}").value.outcome == "cancelled"


def test_go_on_with_an_earlier_run(shell, tmp_path):
    script = tmp_path / "two.yaml"
    script.write_text(
        '- tools: [{Write: {file_path: "$CWD/a.txt", content: "1"}}]\n- say: One.\n- say: Two.\n'
    )
    first = shell.run(f"%%cc -m local --api script:{script} --quiet\nWrite.").value
    second = shell.run(f"%%cc --api script:{script} --continue {first.run_id[-5:]} --quiet\nGo on.").value
    assert (first.text, second.text) == ("One.", "Two.")
    assert second.workspace == first.workspace


def test_reuse_pays_once(shell):
    first = shell.run(f"%%cc {DEMO} --reuse\nGo.").value
    assert shell.run(f"%%cc {DEMO} --reuse\nGo.").value.run_id == first.run_id
    assert shell.run(f"%%cc {DEMO} --reuse\nGo elsewhere.").value.run_id != first.run_id


def test_defaults_are_set_by_config_and_environment(shell, monkeypatch, double):
    shell.run('%config CcMagics.mode = "local"')
    shell.run('%config CcMagics.api = "script:demo"')
    shell.run("%config CcMagics.timeout_s = 77")
    result = shell.run("%%cc --quiet\nGo.").value
    assert (result.mode, result.spec.api, result.spec.timeout_s) == ("local", "script:demo", 77.0)
    shell.run("%config CcMagics.mode = None")
    monkeypatch.setenv("CCNB_MODE", "mars")
    assert "unknown mode 'mars'" in shell.run("%%cc\nGo.").err
    monkeypatch.setenv("CCNB_MODE", "local")
    assert shell.run("%%cc --quiet\nGo.").value.mode == "local"


def test_an_agent_that_fails_is_a_value(shell, double):
    ran = shell.run(f"{double('init; exit 3')}\nGo.")
    assert ran.error is None
    assert ran.value.is_error


def interrupt_when_running(home):
    def interrupt():
        store = Store(home)
        # Its first word is there too.
        wait_for(lambda: any(store.count_events(row.run_id) > 1 for row in store.runs()))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()


def test_the_interrupt_stops_the_run_and_says_what_is_kept(shell, double, home, places):
    interrupt_when_running(home)
    ran = shell.run(f"{double('init; say begun; sleep 60')}\nGo.")
    (row,) = ccnb.runs()
    assert (
        f"UsageError: interrupted: run {row.run_id} was stopped and cleaned up; what it did is kept"
        in ran.err
    )
    assert "Traceback" not in ran.err
    assert row.outcome == "cancelled"
    wait_for(lambda: places("local") == [])
    assert ccnb.attach(row.run_id).result().text == "begun"


def test_a_notebook_shows_the_run_while_it_goes_on_and_keeps_the_result(notebook):
    made = notebook("%load_ext ccnb", f"%%cc {DEMO} --out r\nWrite a word counter.", "r.outcome")
    live, value = made.cells[1].outputs
    assert (live.output_type, value.output_type) == ("display_data", "execute_result")
    assert live.data["text/plain"].startswith("local: success, 6 turns")
    assert "<details>" in live.data["text/html"]
    assert "Edit</span> wordcount.sh" in live.data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" not in live.data
    assert "success" in value.data["text/plain"]
    assert "<code>wordcount.sh</code>" in value.data["text/html"]
    assert texts(made.cells[2]) == ["'success'"]
    assert "widgets" not in made.metadata


def test_the_kernel_goes_on_while_a_cell_waits(notebook, double, tmp_path):
    """The agent ends once the kernel has done something else fifteen times, begun behind its start."""
    seen, go = tmp_path / "seen", tmp_path / "go"
    wait = f"init; touch {seen}; until [ -e {go} ]; do sleep 0.1; done; result"
    made = notebook(
        "%load_ext ccnb\nimport asyncio, pathlib\n"
        f"seen, go = pathlib.Path({str(seen)!r}), pathlib.Path({str(go)!r})",
        BEAT,
        f"{double(wait)} --isolation none --timeout 60 --out r\nGo.",
        "r.outcome",
    )
    assert texts(made.cells[3]) == ["'success'"]


def test_other_magics_may_stand_above_it_and_loading_again_changes_nothing(notebook):
    made = notebook(
        "%load_ext ccnb\n%reload_ext ccnb",
        f"%%time\n%%cc {DEMO} -q --out one\nGo.",
        f"%%capture caught\n%%cc {DEMO} --out two\nGo.",
        "one.outcome, two.outcome, len(caught.outputs) > 1",
        f"%%cc {DEMO}\nGo.",
    )
    assert "Wall time" in str(made.cells[1].outputs)
    assert made.cells[2].outputs == []
    assert texts(made.cells[3]) == ["('success', 'success', True)"]
    assert [o.output_type for o in made.cells[4].outputs] == ["display_data", "execute_result"]


def test_errors_stop_the_notebook_with_one_line(notebook):
    made = notebook("%load_ext ccnb", "%%cc --mode nowhere --api script:demo\nGo.", allow_errors=True)
    assert complaint(made.cells[1]).startswith("UsageError: unknown mode 'nowhere'")
    assert "Traceback" not in str(made.cells[1].outputs)


def test_what_a_notebook_keeps_is_bounded(notebook, double):
    many = "init; i=0; while [ $i -lt 20000 ]; do say 'a line of the agent'; i=$((i+1)); done; result"
    made = notebook("%load_ext ccnb", f"{double(many)} --out r\nGo.", "len(r.events)")
    assert texts(made.cells[2]) == ["20002"]
    live = made.cells[1].outputs[0].data["text/html"]
    assert "the last 200 of 20002 events" in live
    assert len(str(made.cells[1].outputs)) < 60_000


@pytest.fixture
def kernel(home, double):
    """Return a function that starts a kernel, which finds the double; all end with the test."""
    double("init")
    started = []

    def start():
        manager, client = start_new_kernel()
        started.append((manager, client))
        client.execute_interactive("%load_ext ccnb", timeout=60)
        return manager, client

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_until(client, home, state="running"):
    until = time.monotonic() + 30
    while not any(row.state == state for row in Store(home).runs()):
        assert time.monotonic() < until
        time.sleep(0.05)


def outputs_of(client, message_id, limit_s=60, heard=lambda found: None):
    """Return the messages of a cell until it is idle; tell, after each, of those so far."""
    found = []
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        message = client.get_iopub_msg(timeout=limit_s)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        found.append(message)
        heard(found)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return found
    raise AssertionError("the cell didn't end")


def test_the_kernels_interrupt_stops_the_run(kernel, home, double, places):
    manager, client = kernel()
    sent = client.execute(f"{double('init; say begun; sleep 60')}\nGo.")
    run_until(client, home)
    manager.interrupt_kernel()
    found = outputs_of(client, sent)
    streams = "".join(m["content"]["text"] for m in found if m["msg_type"] == "stream")
    assert "UsageError: interrupted: run" in streams
    assert "was stopped and cleaned up" in streams
    assert not [m for m in found if m["msg_type"] == "error" and "Traceback" in str(m["content"])]
    assert ccnb.runs()[0].outcome == "cancelled"
    wait_for(lambda: places("local") == [])
    client.execute_interactive("1 + 1", timeout=120)


@pytest.mark.parametrize("above", ["", "%%time\n"], ids=["awaited", "blocking"])
def test_the_interrupt_of_an_attached_cell_leaves_its_run_going_on(kernel, home, double, tmp_path, above):
    manager, client = kernel()
    wait = f"init; say begun; until [ -e {tmp_path}/go ]; do sleep 0.1; done; result"
    client.execute_interactive(f"{double(wait)} --isolation none --bg --out live\nGo.", timeout=60)
    run_until(client, home)
    (row,) = ccnb.runs()
    sent = client.execute(f"{above}%cc_attach {row.run_id}")
    said = shown_until(client, sent, "begun")
    manager.interrupt_kernel()
    said += "".join(str(message["content"]) for message in outputs_of(client, sent))
    assert f"UsageError: run {row.run_id} goes on; `%cc_stop {row.run_id}` ends it" in said
    assert "Traceback" not in said
    assert ccnb.runs()[0].outcome is None
    (tmp_path / "go").touch()
    assert ccnb.attach(row.run_id).result().outcome == "success"


def shown_until(client, message_id, words, limit_s=60):
    """Return what a cell shows until it shows some words."""
    said = ""
    until = time.monotonic() + limit_s
    while words not in said:
        assert time.monotonic() < until
        message = client.get_iopub_msg(timeout=limit_s)
        if message["parent_header"].get("msg_id") == message_id and "data" in message["content"]:
            said += str(message["content"])
    return said


def updates_among(messages):
    return [m for m in messages if m["msg_type"] == "update_display_data"]


def test_the_view_is_not_written_more_than_ten_times_a_second(kernel, home, double, tmp_path):
    _, client = kernel()

    def heard(found):
        if len(updates_among(found)) > 40:
            (tmp_path / "go").touch()

    # However fast it talks, it does so until there is enough to be seen.
    talk = f"init; until [ -e {tmp_path}/go ]; do say more; sleep 0.001; done; result"
    began = time.monotonic()
    sent = client.execute(f"{double(talk)} --isolation none\nGo.")
    found = outputs_of(client, sent, heard=heard)
    took_s = time.monotonic() - began
    updates = updates_among(found)
    assert 10 < len(updates) <= 10 * took_s + 3
    assert max(len(str(m["content"])) for m in updates) < 60_000
    shown = updates[len(updates) // 2]["content"]["data"]["text/plain"].splitlines()
    assert shown[0].startswith("local: running · ")
    assert 1 < len(shown) <= 9


def test_a_kernel_that_died_is_taken_over(kernel, home, double):
    manager, client = kernel()
    client.execute(f"{double('init; say before; sleep 5; say after; result')}\nGo.")
    run_until(client, home)
    manager.shutdown_kernel(now=True)
    _, other = kernel()
    (row,) = ccnb.runs()
    found = outputs_of(other, other.execute(f"%cc_attach {row.run_id}"))
    shown = [
        m["content"]["data"] for m in found if m["msg_type"] in ("update_display_data", "execute_result")
    ]
    assert "before" in str(shown)
    assert "after" in str(shown)
    assert ccnb.runs()[0].outcome == "success"


def test_the_cap_comes_from_config_or_environment(shell, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-key-at-all")
    monkeypatch.setenv("CCNB_MAX_USD", "0")
    nothing = "$0 of $0 are spent or promised; for more, set %config CcMagics.max_usd = 1"
    assert nothing in shell.run("%%cc -m local\nGo.").err
    monkeypatch.setenv("CCNB_MAX_USD", "lots")
    shell.run("%config CcMagics.max_usd = 0.0")
    assert nothing in shell.run("%%cc -m local\nGo.").err
    assert ccnb.runs() == []


@pytest.mark.parametrize("limit", ["-1", "nan", "inf"])
def test_a_cap_that_is_none_is_said_and_nothing_started(shell, monkeypatch, limit):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-key-at-all")
    monkeypatch.setenv("CCNB_MAX_USD", limit)
    words = "must be a number of dollars, zero or more, not"
    assert shell.run("%%cc -m local\nGo.").err.strip() == (
        f"UsageError: CCNB_MAX_USD {words} {limit!r}; mend or unset it"
    )
    shell.run(f"%config CcMagics.max_usd = float({limit!r})")
    assert f"UsageError: CcMagics.max_usd {words} {float(limit)!r}" in shell.run("%%cc -m local,\nGo.").err
    assert ccnb.runs() == []


def test_a_cap_that_is_no_number_is_said_and_nothing_started(shell, monkeypatch):
    monkeypatch.setenv("CCNB_MAX_USD", "lots")
    assert "CCNB_MAX_USD must be a number of dollars" in shell.run(f"%%cc {DEMO}\nGo.").err
    assert ccnb.runs() == []


def test_an_awaited_start_that_is_cancelled_leaves_nothing(home):
    from ccnb.magics.running import OnLoop

    async def cancelled():
        def begin():
            begun.set()
            assert cancelled_too.wait(60)
            return ccnb.start("Go.", mode="local", api="script:demo")

        begun, cancelled_too = threading.Event(), threading.Event()
        task = asyncio.ensure_future(OnLoop().start(begin))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        # Once it has heard of it, and is waiting for what it can't stop.
        asyncio.get_running_loop().call_later(0.1, cancelled_too.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert [row.outcome for row in ccnb.runs()] == ["cancelled"]
