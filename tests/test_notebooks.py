"""The project's notebooks: executed anew, they show what they show as they lie here."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from ccnb.redact import Redactor
from tools.notebooks import FOLDER, execute

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 500_000
_PATH = re.compile(r"/(?:tmp|root|home|Users|private|var/folders)/[\w.-]+")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def shape(notebook):
    """Return what each cell shows, by kind: streams by their name, data by its MIME types."""
    return [
        [(o.output_type, o.get("name") or tuple(sorted(o.get("data", ())))) for o in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_some():
    assert {"quickstart", "comparison", "token", "fly"} <= {path.stem for path in NOTEBOOKS}


@every_notebook
def test_it_is_kept_with_its_outputs_small_and_clean(path):
    text = path.read_text(encoding="utf-8")
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    assert len(text) < LARGEST
    assert "widgets" not in kept.metadata
    assert "application/vnd.jupyter.widget" not in text
    assert Redactor().text(text) == text, "a token"
    assert _PATH.findall(text) == []
    assert str(Path.home()) not in text
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.id for cell in kept.cells] == [f"cell-{n}" for n in range(len(kept.cells))]
    assert {cell.execution_count for cell in code} == {None}, "as a report is written"
    assert [o for cell in code for o in cell.outputs if o.output_type == "error"] == []


@every_notebook
@pytest.mark.needs("docker", "podman", "bubblewrap")
def test_executed_anew_it_shows_the_same_kinds_of_things(path, home):
    kept = nbformat.read(path, as_version=4)
    execute(path, home / path.name, home)
    made = nbformat.read(home / path.name, as_version=4)
    assert shape(made) == shape(kept)
    outputs = [o for cell in made.cells if cell.cell_type == "code" for o in cell.outputs]
    complaints = [o.text for o in outputs if "UsageError" in str(o.get("text", ""))]
    wanted = ("did you mean 'docker'", "no token is revealed here")
    assert [text for text in complaints if not any(words in text for words in wanted)] == []
    assert len(nbformat.writes(made)) < LARGEST


def test_the_first_notebook_says_what_the_agent_did():
    kept = nbformat.read(FOLDER / "quickstart.ipynb", as_version=4)
    shown = {c.source.partition("\n")[0][:12]: c.outputs for c in kept.cells if c.cell_type == "code"}
    live, value = shown["%%cc --check"]
    assert "Edit wordcount.sh" in re.sub(r"<[^>]+>", "", live.data["text/html"])
    assert "success, check passed" in value.data["text/plain"]
    assert "+four five six" in shown["result.patch"][0].data["text/html"]


def test_a_report_of_the_comparison_takes_another_task_and_other_modes():
    kept = nbformat.read(FOLDER / "comparison.ipynb", as_version=4)
    (cell,) = [cell for cell in kept.cells if "parameters" in cell.metadata.get("tags", ())]
    names = re.findall(r"^(\w+) =", cell.source, re.MULTILINE)
    assert {"prompt", "modes", "api", "check", "repeats"} <= set(names)
