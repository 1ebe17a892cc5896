"""A saved notebook holds no secret, whatever the agent prints and however a cell fails."""

from __future__ import annotations

import json

import nbformat
import pytest

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
    saved = nbformat.writes(made)
    for value in (OWN, TOKEN, TOKEN[13:]):
        assert value not in saved
        assert json.dumps(value)[1:-1] not in saved
    # It would have been there:
    assert "MY_TOKEN=[redacted]" in texts(made.cells[7])[0]
    assert "ANTHROPIC_API_KEY=[redacted]" in texts(made.cells[7])[0]
    assert "+MY_TOKEN=[redacted]" in texts(made.cells[5])[0]
    assert "the patch has a secret in it" in texts(made.cells[11])[0]
    errors = [o for cell in made.cells for o in cell.outputs if o.output_type == "error"]
    assert [error.ename for error in errors] == ["EngineError"] * 4 + ["StoreError"]
    assert all("Traceback" in "\n".join(error.traceback) for error in errors)
