"""Two runs against each other: files with their hunks, answers, calls of tools."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.comparison.matrix import Arm, Matrix
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.comparison.kept import keep_comparison
from tests.kept import use

NUMBERS = "".join(f"{n}\n" for n in range(20))
TEN = NUMBERS.replace("10\n", "ten\n")
FILES = (
    {"same.txt": "same\n", "word.txt": NUMBERS, "sub/only-a.txt": "a\n", "grüße.txt": "a\n"},
    {"same.txt": "same\n", "word.txt": TEN, "new.txt": "b\n", "grüße.txt": "b\n"},
)
TEXTS = ("I wrote it.\nIt works.", "I wrote it.\nIt is <b>done</b>.")


def init(folder):
    return {"type": "system", "subtype": "init", "cwd": folder}


def read(number, folder, name):
    return use(str(number), "Read", file_path=f"{folder}/{name}")


def calls(folder, *more):
    return [(1.0, init(folder)), (2.0, read(1, folder, "word.txt")), *((3.0, one) for one in more)]


CALLS = (
    calls("/a/place", read(2, "/a/place", "same.txt"), use("3", "Bash", command="make")),
    calls("/workspace", use("2", "Edit", file_path="/workspace/same.txt"), use("3", "Bash", command="make")),
)


def kept(home, facts):
    """Keep a comparison of one run of arm `a` and one of arm `b`."""
    arms = tuple(Arm({"variant": name}, RunSpec(prompt="x", mode="local")) for name in "ab")
    matrix = Matrix(arms, {"variant": ("a", "b")}, repeats=1, warmups=0, seed=1, concurrency=1)
    keep_comparison(Store(home), "kept", matrix, facts)
    return ccnb.Comparison("kept")


@pytest.fixture
def comparison(home):
    """Return a comparison of two runs that said and did something else."""
    return kept(home, lambda row: {"text": TEXTS[row.arm], "events": CALLS[row.arm]})


def ids(comparison):
    frame = comparison.frame.set_index("arm")
    return frame.loc["a", "run_id"], frame.loc["b", "run_id"]


def fill(result, files):
    for name, text in files.items():
        path = result.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def difference(comparison):
    one, two = ids(comparison)
    for run_id, files in zip((one, two), FILES, strict=True):
        fill(comparison.result(run_id), files)
    return comparison.diff(one, two)


def test_the_files_that_differ_are_named_and_their_hunks_are_shown(difference):
    assert sorted(difference.files) == ["grüße.txt", "new.txt", "sub/only-a.txt", "word.txt"]
    lines = difference.workspace.splitlines()
    changed = lines[lines.index("diff --git a/word.txt b/word.txt") :][:13]
    assert changed[2:5] == ["--- a/word.txt", "+++ b/word.txt", "@@ -8,7 +8,7 @@"]
    assert [line for line in changed[5:] if line[0] in "+-"] == ["-10", "+ten"]
    assert "--- a/sub/only-a.txt" in lines
    assert "+++ b/new.txt" in lines
    assert not any("/runs/" in line for line in lines)


def test_the_answers_are_set_against_each_other_line_by_line(difference):
    assert difference.answer.splitlines()[2:] == [
        "@@ -1,2 +1,2 @@",
        " I wrote it.",
        "-It works.",
        "+It is <b>done</b>.",
    ]


def test_calls_stand_side_by_side_with_their_tool_and_their_path_in_the_workspace(difference):
    assert difference.tools == (
        ("Read word.txt", "Read word.txt"),
        ("Read same.txt", "Edit same.txt"),
        ("Bash make", "Bash make"),
    )


def test_a_call_that_one_run_alone_made_stands_alone(home):
    made = (calls("/w"), calls("/w", use("2", "Bash", command="make")))
    comparison = kept(home, lambda row: {"events": made[row.arm]})
    assert comparison.diff(*ids(comparison)).tools == (("Read word.txt", "Read word.txt"), ("", "Bash make"))


def test_it_reads_well_as_text_and_as_a_page(difference):
    text, page = repr(difference), difference._repr_html_()
    assert f"run {difference.a} and run {difference.b}" in text
    for part in ("+ten", "+It is <b>done</b>.", "Read word.txt = Read", "Read same.txt | Edit same.txt"):
        assert part in text
    for part in ("+ten", "+It is &lt;b&gt;done&lt;/b&gt;.", "<td>Read same.txt</td><td>Edit same.txt</td>"):
        assert part in page
    assert "<b>done</b>" not in page
    assert "<script" not in page


def test_what_is_the_same_is_said_to_be_the_same(comparison):
    one, _ = ids(comparison)
    fill(comparison.result(one), FILES[0])
    same = comparison.diff(one, one)
    assert (same.workspace, same.answer, same.files) == ("", "", [])
    for words in ("the workspaces are the same", "the answers are the same"):
        assert words in repr(same)
        assert words in same._repr_html_()


def test_of_a_workspace_that_is_not_here_nothing_is_said(comparison):
    one, two = ids(comparison)
    fill(comparison.result(one), FILES[0])
    half = comparison.diff(one, two)
    assert half.absent == (two,)
    assert half.workspace == ""
    for shown in (repr(half), half._repr_html_()):
        assert f"the workspace of run {two} stayed where it ran" in shown
        assert "the workspaces are the same" not in shown


def test_rows_are_named_by_their_number_too(comparison):
    rows = comparison.frame.set_index("number")["run_id"]
    assert (comparison.diff(0, 1).a, comparison.diff(0, 1).b) == (rows[0], rows[1])
    with pytest.raises(ccnb.CcnbError, match="row 7 has no run"):
        comparison.diff(0, 7)
