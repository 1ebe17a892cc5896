"""`ccnb compare`: a matrix from options or a file, a table, a paragraph, JSON."""

from __future__ import annotations

import json

import pytest

from ccnb.cli import _run as cli
from tests.comparison.conftest import obedient  # noqa: F401 - a fixture

MATRIX = """
prompts = ["Do it."]
modes = ["local"]
api = "script:demo"
repeats = 2
warmups = 0
name = "filed"

[variants.quick.env]
AGENT = "init; result"

[variants.slow.env]
AGENT = "init; sleep 0.2; result"
"""


@pytest.mark.needs("bubblewrap")
def test_a_matrix_of_a_file_is_run_shown_and_shown_again(obedient, tmp_path, capsys):
    file = tmp_path / "matrix.toml"
    file.write_text(MATRIX)
    assert cli(["compare", "--file", str(file)]) == 0
    said = capsys.readouterr()
    assert "quick" in said.out
    assert "4 of 4 runs count" in said.out
    assert "kept as filed" in said.out
    assert "4 of 4: " in said.err
    assert cli(["compare", "--show", "filed", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["n"] for row in shown["summary"]] == [2, 2]
    assert len(shown["rows"]) == 4
    assert all(row["outcome"] == "success" for row in shown["rows"])


@pytest.mark.needs("bubblewrap")
def test_axes_come_from_options_too(obedient, capsys):
    given = ["compare", "Do it.", "-m", "local", "--api", "script:demo", "--axis", "max_turns=3,5", "-q"]
    assert cli([*given, "-e", "AGENT=init; result", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["max_turns"] for row in shown["rows"]} == {"3", "5"}


@pytest.mark.needs("bubblewrap")
def test_rows_that_do_not_count_give_an_exit_code_of_their_own(obedient, capsys):
    given = [
        "compare",
        "Do it.",
        "-m",
        "local",
        "--api",
        "script:demo",
        "--setup",
        "exit 3",
        "--warmups",
        "0",
    ]
    assert cli(given) == 3
    assert "the set-up command ended with 3" in capsys.readouterr().err


@pytest.mark.needs("bubblewrap")
def test_each_mode_may_have_its_own_number_of_runs_at_once(obedient, capsys):
    given = ["compare", "Do it.", "-m", "local", "--api", "script:demo", "--warmups", "0", "-q"]
    assert cli([*given, "-e", "AGENT=init; result", "-n", "2", "-j", "local=2"]) == 0
    assert "2 at once (2 in local)" in " ".join(capsys.readouterr().out.split())


def test_bad_input_is_one_line(home, tmp_path, capsys):
    broken = tmp_path / "broken.toml"
    broken.write_text("prompts = [")
    for given, said in (
        (["--file", str(broken)], "is no TOML"),
        (["--file", str(tmp_path / "none.toml")], "can't be read"),
        (["--axis", "max_turns"], "--axis takes FIELD=LEVEL,LEVEL"),
        (["-j", "docker=many"], "--concurrency takes COUNT or MODE=COUNT,MODE=COUNT, not 'docker=many'"),
        (["--axis", "turns=1", "--api", "script:demo", "-m", "local"], "is no field of RunSpec"),
    ):
        assert cli(["compare", *given]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
