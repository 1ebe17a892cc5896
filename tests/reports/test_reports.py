"""Notebooks that run themselves into a page, and the pages of comparisons."""

from __future__ import annotations

import importlib

import nbformat
import pytest

import ccnb
from ccnb.cli import _run as cli
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.errors import CcnbError
from ccnb.reports import execute_report, from_store
from ccnb.spec import RunSpec
from ccnb.store import Store, comparisons
from tests.comparison.client import compare
from tests.comparison.conftest import obedient  # noqa: F401 - a fixture
from tests.comparison.kept import keep_comparison

DRAWS = """from IPython.display import HTML, display
from matplotlib import pyplot as plt
plt.plot([1, n]);
display(HTML("<b>bold</b>"))"""


def notebook(path, *sources, parameters="n = 1"):
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_notebook_becomes_a_page_that_stands_alone(tmp_path):
    path = notebook(tmp_path / "a.ipynb", "%matplotlib inline\n" + DRAWS, "print('n is', n)")
    said: list[str] = []
    report = execute_report(path, {"n": 5}, on_progress=said.append)
    page = report.path.read_text()
    assert report.error == ""
    assert report.path == tmp_path / "a.html"
    assert "n is 5" in page
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert said[0] == "cell 1 of 4: n = 1"
    assert len(said) == 4


def test_the_same_outputs_give_the_same_bytes(tmp_path):
    # On a new machine matplotlib makes a list of fonts, and says so in the first notebook if that takes long.
    importlib.import_module("matplotlib.font_manager")
    path = notebook(tmp_path / "a.ipynb", "%matplotlib inline\n" + DRAWS)
    for target in ("one.html", "two.html", "one.ipynb", "two.ipynb"):
        execute_report(path, output=tmp_path / target)
    for kind in ("html", "ipynb"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_no_state_of_a_widget_and_no_credential_is_kept(tmp_path):
    token = "sk-ant-oat01-" + "x" * 40
    path = notebook(
        tmp_path / "a.ipynb",
        f"import ipywidgets; ipywidgets.Password(value={token[:9]!r} + {token[9:]!r})",
        f"print({token[:9]!r} + {token[9:]!r})",
    )
    execute_report(path, output=tmp_path / "out.ipynb")
    text = (tmp_path / "out.ipynb").read_text()
    assert token not in text
    assert "widget-state" not in text


def test_a_failing_cell_is_shown_in_a_page_that_is_saved_all_the_same(tmp_path):
    path = notebook(tmp_path / "a.ipynb", "print('before')", "1 / 0", "print('after')")
    report = execute_report(path)
    page = report.path.read_text()
    assert "ZeroDivisionError" in report.error
    assert "This report is not complete" in page
    assert "before" in page
    assert "division by zero" in page


def test_a_cell_that_takes_too_long_ends_the_report(tmp_path):
    report = execute_report(notebook(tmp_path / "a.ipynb", "import time; time.sleep(60)"), cell_timeout_s=2)
    assert report.error == "a cell took longer than its 2 s"
    assert report.path.exists()


@pytest.mark.parametrize(
    ("parameters", "said"), [({"m": 1}, "has no parameter 'm'"), ({"nn": 1}, "did you mean 'n'?")]
)
def test_a_parameter_that_is_not_there_is_told(tmp_path, parameters, said):
    with pytest.raises(CcnbError) as caught:
        execute_report(notebook(tmp_path / "a.ipynb"), parameters)
    assert said in caught.value.message


def test_what_is_no_notebook_is_told(tmp_path):
    (tmp_path / "no.ipynb").write_text("x")
    for path in (tmp_path / "no.ipynb", tmp_path / "none.ipynb"):
        with pytest.raises(CcnbError, match="can't be read"):
            execute_report(path)


@pytest.mark.needs("bubblewrap")
def test_a_comparison_that_has_run_becomes_a_page_without_running_anything(obedient, tmp_path):
    compare("kept", repeats=2)
    before = len(ccnb.runs())
    one, two = from_store("kept", tmp_path / "one.html"), from_store("kept", tmp_path / "two.html")
    assert len(ccnb.runs()) == before
    assert one.read_bytes() == two.read_bytes()
    page = one.read_text()
    assert "<script" not in page
    assert "4 of 4 runs count" in page
    assert all(run.run_id in page for run in ccnb.runs())


CONDITIONS = {
    "model": "claude-opus-5-5",
    "agent_version": "2.1.330",
    "engine": "docker 27.5.1",
    "image_digest": "sha256:0123456789abcdef",
    "host_load": 0.75,
    "concurrency": 3,
}


def matrix(repeats):
    arm = Arm({"mode": "docker"}, RunSpec(prompt="x", mode="docker"))
    return Matrix((arm,), {"mode": ("docker",)}, repeats=repeats, warmups=0, seed=1, concurrency=1)


def test_the_page_of_a_comparison_has_every_run_with_its_conditions(home, tmp_path):
    keep_comparison(Store(home), "kept", matrix(2), lambda row: {"conditions": CONDITIONS})
    page = from_store("kept", tmp_path / "page.html").read_text()
    rows = page.partition("<h2>Rows</h2>")[2].partition("</div>")[0]
    for shown in ("claude-opus-5-5", "2.1.330", "docker 27.5.1", "0123456789ab", "0.750"):
        assert rows.count(f">{shown}<") == 2, shown
    assert "These are the first" not in page


def test_a_page_that_leaves_rows_out_says_so(home, tmp_path):
    comparisons.add(Store(home), "many", matrix(2_001).to_dict())
    page = from_store("many", tmp_path / "page.html").read_text()
    assert "These are the first 2,000 of 2,001 rows" in page
    assert "ccnb.Comparison(&#x27;many&#x27;).frame" in page


def test_the_command_ends_with_a_code_for_ci(home, tmp_path, capsys):
    good, bad = notebook(tmp_path / "good.ipynb", "print(n)"), notebook(tmp_path / "bad.ipynb", "1 / 0")
    assert cli(["report", str(good), "-p", "n=hello there", "-o", str(tmp_path / "x.html")]) == 0
    assert "hello there" in (tmp_path / "x.html").read_text()
    assert cli(["report", str(bad)]) == 1
    assert cli(["report"]) == 2
    assert cli(["report", "--from-store", "none"]) == 2
    assert "no comparison has the name 'none'" in capsys.readouterr().err
