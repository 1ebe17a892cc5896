"""Documents that are run: their fenced blocks in order, and what these must print."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nbformat

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced part of a document."""

    document: str
    kind: str
    text: str
    line: int
    why_not: str
    shown: str = ""
    """What stands below it as its output."""

    @property
    def commands(self) -> str:
        """Return it as a part of a shell's session, after a mark that can be found in the output."""
        if self.kind == "sh":
            return f"echo '{self.mark}'\n{self.text}"
        return f"echo '{self.mark}'\npython - <<'PYTHON'\n{self.text}PYTHON\n"

    @property
    def is_run(self) -> bool:
        """Return whether it is a part of the shell's session: no cell, and not taken from a tested file."""
        return self.kind in ("sh", "python") and not self.why_not and not self.text.startswith("--8<--")

    @property
    def mark(self) -> str:
        """Return the words that go before its output."""
        return f"=== {self.document}, line {self.line}"


def blocks_of(path: Path) -> list[Block]:
    """Return a document's blocks; one that shows output belongs to the block above it."""
    text = path.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        block = Block(path.name, match["kind"], match["text"], line, match["why"] or "")
        if block.kind == "text" and found:
            found[-1] = Block(**{**vars(found[-1]), "shown": block.text})
        else:
            found.append(block)
    return found


def plain(line: str) -> str:
    """Return a line of output without what differs from run to run: figures, ids, and the space they take."""
    line = re.sub(r"\d{6}-\d{6}-\w{5}", "ID", line)
    # From a minute on a time has other units.
    line = re.sub(r"\d+ min \d\d s|\d+ h \d\d min", "N s", line)
    line = re.sub(r"\d[\d,.]*", "N", line)
    return re.sub(r"[ ─]+", " ", line).strip()


def missing_from(shown: str, printed: str) -> list[str]:
    """Return the lines of an output as shown that did not come, in that order, in what was printed."""
    rest = [plain(line) for line in printed.splitlines()]
    missing = []
    for line in [plain(line) for line in shown.splitlines() if line.strip() not in ("", "...")]:
        if line in rest:
            rest = rest[rest.index(line) + 1 :]
        else:
            missing.append(line)
    return missing


def session_of(run: list[Block], folder: Path, env: dict[str, str]) -> str:
    """Run blocks in one shell, in a folder; return all that was printed, having seen that it went well."""
    session = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(block.commands for block in run)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert session.returncode == 0, session.stdout
    return session.stdout


def show_cells(cells: list[Block], python: Path, folder: Path, env: dict[str, str]) -> str:
    """Run cells in one kernel of a Python; return what they show as text, each after its mark."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.text) for cell in cells])
    nbformat.write(notebook, folder / "cells.ipynb")
    execute = ("-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", "cells.ipynb")
    done = subprocess.run(
        [str(python), *execute], cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    shown: list[str] = []
    for block, cell in zip(cells, nbformat.reads(done.stdout, as_version=4).cells, strict=True):
        texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
        shown += [f"{block.mark}\n", *texts]
    return "".join(shown)


BY_CHANCE = "wall_s: no evidence of a difference between one and same"
"""What a page shows of two equal arms, and what is not so once in twenty or more times, as it says itself."""


def hold(run: list[Block], session: str) -> None:
    """See that each block has printed what stands below it."""
    for block in run:
        _, _, after = session.partition(f"{block.mark}\n")
        printed = after.partition(f"=== {block.document}")[0]
        missing = missing_from(block.shown, printed)
        assert [line for line in missing if not line.startswith(BY_CHANCE)] == [], printed
