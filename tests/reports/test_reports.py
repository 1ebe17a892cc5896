"""Notebooks that run themselves into a page, and the pages of comparisons."""

from __future__ import annotations

import nbformat
import pytest

import ccnb
from ccnb.cli import _run as cli
from ccnb.errors import CcnbError
from ccnb.reports import execute_report, from_store
from tests.comparison.client import compare
from tests.comparison.conftest import obedient  # noqa: F401 - a fixture

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
def test_a_comparison_that_has_run_becomes_a_page_without_running_anything(obedient, tmp_path):  # noqa: F811
    compare("kept", repeats=2)
    before = len(ccnb.runs())
    one, two = from_store("kept", tmp_path / "one.html"), from_store("kept", tmp_path / "two.html")
    assert len(ccnb.runs()) == before
    assert one.read_bytes() == two.read_bytes()
    page = one.read_text()
    assert "<script" not in page
    assert "4 of 4 runs count" in page
    assert all(run.run_id in page for run in ccnb.runs())


def test_the_command_ends_with_a_code_for_ci(home, tmp_path, capsys):
    good, bad = notebook(tmp_path / "good.ipynb", "print(n)"), notebook(tmp_path / "bad.ipynb", "1 / 0")
    assert cli(["report", str(good), "-p", "n=hello there", "-o", str(tmp_path / "x.html")]) == 0
    assert "hello there" in (tmp_path / "x.html").read_text()
    assert cli(["report", str(bad)]) == 1
    assert cli(["report"]) == 2
    assert cli(["report", "--from-store", "none"]) == 2
    assert "no comparison has the name 'none'" in capsys.readouterr().err
