"""The project's own comparison notebook as a report of somebody's task, made again at no cost."""

from __future__ import annotations

from pathlib import Path

import pytest

import ccnb
from ccnb.cli import _run as cli

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "comparison.ipynb"
HAIKU = """
- say: I write it down.
  tools: [Write: {file_path: $CWD/haiku.txt, content: "Not one word is lost."}]
- It is in haiku.txt.
"""


def ended():
    return {run.run_id: run.ended_at for run in ccnb.runs()}


@pytest.mark.needs("docker", "bubblewrap")
def test_made_again_it_runs_nothing_and_has_the_same_bytes(home, tmp_path, capsys):
    (tmp_path / "haiku.yaml").write_text(HAIKU)
    parameters = {
        "prompt": "Write a haiku, 'of' {some} words, to haiku.txt",
        "check": "test -s haiku.txt",
        "modes": "docker,local",
        "api": f"script:{tmp_path}/haiku.yaml",
        "repeats": "2",
    }
    given = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
    pages = [tmp_path / f"{number}.html" for number in range(3)]
    assert cli(["report", str(NOTEBOOK), *given, "-o", str(pages[0])]) == 0, capsys.readouterr().err
    done = ended()
    # One in each mode for the cell; for the comparison a warm-up run and two of each.
    assert len(done) == 2 + 2 + 4
    for page in pages[1:]:
        assert cli(["report", str(NOTEBOOK), *given, "-o", str(page)]) == 0
    assert ended() == done
    assert pages[1].read_bytes() == pages[2].read_bytes()
    text = pages[2].read_text()
    assert "4 of 4 runs count, of 2 arms in 2 shuffled blocks" in text
    assert "haiku.txt" in text
    assert "wordcount" not in text.partition("4 of 4 runs count")[2]
    assert "<script" not in text
