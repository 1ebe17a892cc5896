"""A saved notebook holds no secret, whatever the agent prints and however a cell fails."""

from __future__ import annotations

import json

import nbformat
import pytest

from ccnb.widgets import panel
from tests.magics.conftest import texts

pytestmark = pytest.mark.needs("bubblewrap", "docker")

OWN = "correct-horse-battery-staple"
TOKEN = "sk-ant-oat01-" + "Zz9_" * 20
SCRIPT = """
- tools:
    - Bash: {command: "env; env > env.txt; echo $MY_TOKEN >&2"}
- say: Here is $MY_TOKEN
"""


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "env.yaml"
    # The model says it too: what the agent's own text holds is no safer.
    file.write_text(SCRIPT.replace("$MY_TOKEN\n", f"{OWN}\n"))
    return f"script:{file}"


def test_a_run_that_printed_tokens_and_failures_in_every_detail(notebook, script, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", OWN)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)
    given = 'env={"MY_TOKEN": ccnb.Secret(os.environ["MY_TOKEN"])}'
    made = notebook(
        "%load_ext ccnb",
        "%xmode Verbose",
        "import os, sqlite3, ccnb",
        f"%%cc -m local --api {script} --secret-env MY_TOKEN --out r\nPrint your environment.",
        "r",
        "r.patch",
        "[e.raw for e in r.events]",
        "[use.text for e in r.events for use in e.tool_results]",
        "ccnb.frames.tools_frame(r)",
        "ccnb.panel()",
        "from ccnb.widgets.view import RunView\nRunView([ccnb.attach(r.run_id)])",
        "r.spec, r.to_dict(), r.calls, r.warnings",
        f'ccnb.run("Go.", mode="docker", api="{script}", memory_mb=1, {given})',
        'os.environ["DOCKER_HOST"] = "unix:///nowhere/docker.sock"',
        f'ccnb.run("Go.", mode="docker", {given})',
        f'await ccnb.arun("Go.", mode="docker", api="{script}", {given})',
        f'run = ccnb.start("Go.", mode="docker", api="{script}", {given})\nrun.result()',
        "%%cc -m docker --secret-env MY_TOKEN\nGo.",
        'sqlite3.connect(f"{os.environ[\'CCNB_HOME\']}/ccnb.sqlite3").execute("DROP TABLE runs")',
        f'ccnb.run("Go.", mode="local", api="{script}", {given})',
        allow_errors=True,
    )
    assert_clean(nbformat.writes(made))
    # It would have been there:
    assert "MY_TOKEN=[redacted]" in texts(made.cells[7])[0]
    assert "ANTHROPIC_API_KEY=[redacted]" in texts(made.cells[7])[0]
    assert "+MY_TOKEN=[redacted]" in texts(made.cells[5])[0]
    assert "the patch has a secret in it" in texts(made.cells[11])[0]
    assert texts(made.cells[9]) == [panel.WORDS]
    errors = [o for cell in made.cells for o in cell.outputs if o.output_type == "error"]
    assert [error.ename for error in errors] == ["EngineError"] * 4 + ["StoreError"]
    assert all("Traceback" in "\n".join(error.traceback) for error in errors)


def test_widgets_whose_state_is_saved_too_hold_nothing_of_a_run(notebook, script, monkeypatch):
    """As nbclient does by default: what a view showed and what stands in the panel was told in messages."""
    monkeypatch.setenv("MY_TOKEN", OWN)
    told = "panel.children[0]._handle_custom_msg({'kind': kind, 'form': form}, [])"
    made = notebook(
        "%load_ext ccnb\nimport ccnb, os, time",
        f"%%cc -m local --api {script} --secret-env MY_TOKEN --out r\nPrint your environment.",
        "from ccnb.widgets.view import RunView\nview = RunView([ccnb.attach(r.run_id)])\nview",
        'view._handle_custom_msg({"kind": "open", "run": r.run_id, "open": True}, [])\nlen(view.unfolded)',
        "panel = ccnb.panel()\npanel",
        'form = {"prompt": os.environ["MY_TOKEN"], "mode": "local", "workspace": "/not/there"}',
        f"for kind in ('form', 'run'):\n    {told}",
        'while "/not/there" not in panel.children[0]._said["error"]:\n    time.sleep(0.05)',
        store_widget_state=True,
    )
    assert texts(made.cells[3]) == ["1"]
    (kept,) = made.metadata["widgets"].values()
    names = {one["model_name"] for one in kept["state"].values()}
    assert {"AnyModel", "VBoxModel"} <= names, "the view and the panel are there"
    assert "MY_TOKEN" not in json.dumps(made.metadata)
    assert "/not/there" not in json.dumps(made.metadata)
    assert_clean(nbformat.writes(made))


def assert_clean(saved):
    for value in (OWN, TOKEN, TOKEN[13:]):
        assert value not in saved
        assert json.dumps(value)[1:-1] not in saved
