"""What JupyterLab writes into a notebook's file, with view and panel drawn and their state saved as well."""

from __future__ import annotations

import json

import pytest

from tests.browser.lab import expect
from tests.waiting import wait_for

pytestmark = pytest.mark.needs("browser", "bubblewrap")

OWN = "correct-horse-battery-staple"
TOKEN = "sk-ant-oat01-" + "Zz9_" * 20
SCRIPT = f"""
- tools:
    - Bash: {{command: "env; echo {TOKEN}"}}
- say: Here is {OWN}
"""
STATE = "application/vnd.jupyter.widget-state+json"


@pytest.fixture
def notebook(home, monkeypatch, request):
    """Return a notebook whose run printed secrets; JupyterLab is told to save the state of widgets."""
    monkeypatch.setenv("MY_TOKEN", OWN)
    (home / "env.yaml").write_text(SCRIPT)
    notebook = request.getfixturevalue("open_notebook")(
        "%load_ext ccnb\nimport ccnb\nfrom ccnb.widgets.view import RunView",
        "%%cc -m local --api script:env.yaml --secret-env MY_TOKEN --out r\nPrint your environment.",
        "RunView([ccnb.attach(r.run_id)])",
        "ccnb.panel()",
    )
    for number in range(4):
        notebook.run_all_of(number)
    command = "window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
    notebook.page.evaluate(command)
    yield notebook
    notebook.page.evaluate(command)


def test_the_file_holds_no_secret_and_nothing_that_was_typed_into_the_panel(notebook, home):
    view, panel = notebook.output(2), notebook.output(3)
    view.get_by_title("show the conversation").click()
    view.locator("summary").first.click()
    expect(view.locator(".ccnb-list")).to_contain_text("MY_TOKEN=[redacted]")
    panel.get_by_label("prompt", exact=True).fill(f"Use {OWN} and {TOKEN}.")
    panel.get_by_label("workspace", exact=True).fill("/not/there")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator(".ccnb-error")).to_contain_text("/not/there isn't there")

    def saved():
        notebook.save()
        return json.loads((home / "work.ipynb").read_text())["metadata"].get("widgets", {})

    wait_for(lambda: STATE in saved())
    text = (home / "work.ipynb").read_text()
    state = json.dumps(json.loads(text)["metadata"]["widgets"][STATE])
    assert "AnyModel" in state
    assert "VBoxModel" in state
    assert "MY_TOKEN" not in state
    assert "/not/there" not in text
    assert "MY_TOKEN=[redacted]" in text, "the run's own page is kept"
    for value in (OWN, TOKEN, TOKEN[13:]):
        assert value not in text
