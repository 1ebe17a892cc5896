"""`python -m tools.notebooks [NAME...]`: execute the notebooks and write them back with what they show.

Each runs in a fresh kernel with a store of its own, without a credential; what differs from run to run
without saying anything (times in the metadata, ids of cells' executions) is not kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from ccnb.credentials import VARIABLES
from ccnb.gateway import process as gateway

FOLDER = Path(__file__).parent.parent / "notebooks"
LIMIT_S = 300


def execute(notebook: nbformat.NotebookNode, home: Path) -> nbformat.NotebookNode:
    """Execute a notebook with a store of its own and return it as it is kept."""
    variables = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    client = NotebookClient(
        notebook,
        timeout=LIMIT_S,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
    )
    # The double of Fly.io lies beside the package.
    client.execute(env=variables | {"CCNB_HOME": str(home), "PYTHONPATH": str(FOLDER.parent)})
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # A view that was still there at the end; its kernel is gone, and what it showed stands beside it.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    )
    return notebook


def main() -> None:
    """Execute the named notebooks, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in names:
        path = FOLDER / f"{name}.ipynb"
        with tempfile.TemporaryDirectory(prefix="ccnb-") as home:
            try:
                made = execute(nbformat.read(path, as_version=4), Path(home))
            finally:
                gateway.stop(Path(home))
        nbformat.write(made, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
