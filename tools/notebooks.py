"""`python -m tools.notebooks [NAME...]`: execute the notebooks and keep them as `ccnb report` writes them.

Each runs in a fresh kernel with a store of its own, without a credential.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ccnb.credentials import VARIABLES
from ccnb.gateway import process as gateway

FOLDER = Path(__file__).parent.parent / "notebooks"
LIMIT_S = 300


def execute(path: Path, target: Path, home: Path) -> None:
    """Execute a notebook with a store of its own and write it as it is kept."""
    variables = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    words = ["report", str(path), "-o", str(target), "--cell-timeout", str(LIMIT_S)]
    subprocess.run(
        [sys.executable, "-m", "ccnb", *words],
        # The double of Fly.io lies beside the package.
        env=variables | {"CCNB_HOME": str(home), "PYTHONPATH": str(FOLDER.parent)},
        check=True,
    )


def main() -> None:
    """Execute the named notebooks, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in names:
        path = FOLDER / f"{name}.ipynb"
        with tempfile.TemporaryDirectory(prefix="ccnb-") as folder:
            home, made = Path(folder, "home"), Path(folder, path.name)
            try:
                execute(path, made, home)
            finally:
                gateway.stop(home)
            path.write_bytes(made.read_bytes())
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
