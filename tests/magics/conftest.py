"""Real shells and real kernels."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbclient import NotebookClient
from traitlets.config import Config


@dataclass
class Ran:
    """What became of a cell."""

    value: Any
    error: BaseException | None
    out: str
    err: str


class Shell:
    """An IPython of one's own, in this process."""

    def __init__(self):
        config = Config()
        config.HistoryManager.enabled = False
        self.ip = InteractiveShell(config=config)

    def run(self, cell) -> Ran:
        with capture_output(display=False) as caught:
            done = self.ip.run_cell(cell)
        return Ran(done.result, done.error_before_exec or done.error_in_exec, caught.stdout, caught.stderr)

    def complete(self, line):
        """Return what Tab offers at the end of a line."""
        return self.ip.complete("", line, len(line))[1]


@pytest.fixture
def bare_shell(home, monkeypatch):
    monkeypatch.delenv("CCNB_MODE", raising=False)
    monkeypatch.delenv("CCNB_MAX_USD", raising=False)
    yield Shell()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell):
    bare_shell.run("%load_ext ccnb")
    return bare_shell


@pytest.fixture
def notebook(home):
    """Return a function that runs cells in a fresh kernel and returns the notebook."""

    def run(*cells, allow_errors=False, store_widget_state=False):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = NotebookClient(
            made,
            timeout=120,
            kernel_name="python3",
            allow_errors=allow_errors,
            store_widget_state=store_widget_state,
        )
        client.execute()
        return made

    return run


def texts(cell, kind="text/plain"):
    """Return what a cell shows, in one form."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def complaint(cell):
    """Return the line in red of a cell."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr").strip()


@pytest.fixture
def double(agent):
    """Return the line of a `%%cc` whose agent, in mode local, runs some shell commands."""

    def line(commands, magic="%%cc"):
        given = agent("local", commands)
        return f"{magic} -m local --api {given['api']} --env {shlex.quote(f'AGENT={commands}')}"

    return line
