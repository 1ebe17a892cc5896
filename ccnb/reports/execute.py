"""Execute a notebook with parameters, cell by cell, and keep it however it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, CellTimeoutError, DeadKernelError

from ccnb.errors import SpecError, did_you_mean
from ccnb.redact import Redactor
from ccnb.render import one_line
from ccnb.reports.page import notebook_page

Say = Callable[[str], None]

_TAG, _INJECTED = "parameters", "injected-parameters"
"""The tags that papermill knows."""
_ASSIGNED = re.compile(r"^(\w+)\s*(?::[^=]+)?=", re.MULTILINE)
_WIDGET = "application/vnd.jupyter.widget-view+json"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Report:
    """A report that was made."""

    path: Path
    cells: int
    """Code cells that were executed."""
    error: str = ""
    """What made it end early; empty where nothing did."""


def execute_report(
    notebook: Path | str | None,
    parameters: Mapping[str, Any] | None = None,
    *,
    output: Path | str | None = None,
    cell_timeout_s: float | None = None,
    on_progress: Say | None = None,
) -> Report:
    """Execute a notebook and save it, also when a cell fails, as HTML or (`.ipynb`) as a notebook.

    Two executions that give the same outputs give the same bytes: times, counts and ids are left out. No
    widget's state is kept, and whatever has the shape of a credential is taken out.

    Parameters
    ----------
    parameters
        Values for the names that the cell tagged `parameters` sets; they go into a cell behind it.
    output
        Without it: next to the notebook, with `.html`.
    cell_timeout_s
        The most for one cell; without it there is no limit.
    on_progress
        Called with a line before each code cell.

    Raises
    ------
    SpecError
        The notebook can't be read, or has no such parameter. A failing cell raises nothing: see `Report`.
    """
    path = Path(notebook or "")
    content = _read(path)
    target = Path(output) if output is not None else path.with_suffix(".html")
    if target.resolve() == path.resolve():
        raise SpecError(f"{target} is the notebook itself; name another file as output")
    _inject(content, parameters or {}, path)
    cells = [number for number, cell in enumerate(content.cells) if cell.cell_type == "code"]
    error = _execute(content, path.parent, cells, cell_timeout_s, on_progress)
    _normalise(content)
    _save(content, target, path.stem, error)
    return Report(target, sum(bool(content.cells[n].get("outputs")) for n in cells), error)


def _read(path: Path) -> Any:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise SpecError(
            f"the notebook {path} can't be read ({one_line(str(error), 200)}); name another"
        ) from None


def _inject(content: Any, parameters: Mapping[str, Any], path: Path) -> None:
    """Put a cell with the parameters behind the one that is tagged, as papermill does."""
    content.cells = [cell for cell in content.cells if _INJECTED not in cell.metadata.get("tags", ())]
    if not parameters:
        return
    places = [n for n, cell in enumerate(content.cells) if _TAG in cell.metadata.get("tags", ())]
    if not places:
        raise SpecError(f"{path} has no cell tagged {_TAG!r}; tag the one that sets the parameters")
    known = _ASSIGNED.findall(content.cells[places[0]].source)
    for name in parameters:
        if name not in known:
            near = did_you_mean(name, known) or f"; it has {', '.join(known) or 'none'}"
            raise SpecError(f"{path} has no parameter {name!r}{near}")
    lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cell = nbformat.v4.new_code_cell(lines, metadata={"tags": [_INJECTED]})
    content.cells.insert(places[0] + 1, cell)


def _execute(
    content: Any, folder: Path, cells: list[int], cell_timeout_s: float | None, say: Say | None
) -> str:
    def begin(cell: Any, cell_index: int) -> None:
        if say is not None and cell.cell_type == "code":
            first = next((line for line in cell.source.splitlines() if line.strip()), "")
            say(f"cell {cells.index(cell_index) + 1} of {len(cells)}: {one_line(first, 60)}")

    client = NotebookClient(
        content,
        timeout=cell_timeout_s,
        kernel_name=content.metadata.get("kernelspec", {}).get("name", "python3"),
        resources={"metadata": {"path": str(folder or ".")}},
        store_widget_state=False,
        on_cell_execute=begin,
    )
    cells[:] = [n for n, cell in enumerate(content.cells) if cell.cell_type == "code"]
    try:
        client.execute()
    except CellTimeoutError:
        return f"a cell took longer than its {cell_timeout_s:g} s"
    except CellExecutionError as error:
        return f"a cell failed: {one_line(Redactor().text(f'{error.ename}: {error.evalue}'), 300)}"
    except (DeadKernelError, CellControlSignal) as error:
        return f"the kernel ended: {one_line(str(error), 200)}"
    return ""


def _normalise(content: Any) -> None:
    """Leave out what differs from one execution to the next, and what must not be kept."""
    redactor = Redactor()
    content.metadata.pop("widgets", None)
    for number, cell in enumerate(content.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell["execution_count"] = None
        for output in cell.get("outputs", ()):
            if "execution_count" in output:
                output["execution_count"] = None
            _clean(output, redactor)


def _clean(output: Any, redactor: Redactor) -> None:
    data = output.get("data", {})
    data.pop(_WIDGET, None)
    for kind, value in data.items():
        if isinstance(value, str) and not kind.startswith("image/"):
            data[kind] = redactor.text(value)
    for name in ("text", "evalue"):
        if isinstance(output.get(name), str):
            output[name] = redactor.text(output[name])
    if "traceback" in output:
        output["traceback"] = [redactor.text(_COLOURS.sub("", line)) for line in output["traceback"]]


def _save(content: Any, target: Path, title: str, error: str) -> None:
    as_notebook = target.suffix == ".ipynb"
    text = f"{nbformat.writes(content)}\n" if as_notebook else notebook_page(content, title, error)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as failure:
        raise SpecError(f"{target} can't be written ({failure.strerror}); name another file") from None
