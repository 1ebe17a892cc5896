"""A machine as somebody has it who has just come: an environment without ccnb, a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LEFT_OUT = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", ".env", ".coverage*")


def environment(folder: Path) -> Path:
    """Make a virtual environment that finds our packages, but not the ccnb there; return its programs.

    A `.pth` file in a folder that another one names is not read: the editable install stays out.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    ours = sysconfig.get_path("purelib")
    theirs = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(theirs, "packages.pth").write_text(f"{ours}\n")
    return folder / "bin"


def variables(home: Path, programs: Path) -> dict[str, str]:
    """Return the variables of a shell in which that environment is active."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "COLUMNS", "CCNB_MODE")
    mine = {name: value for name, value in os.environ.items() if name not in foreign}
    # Which builds a package: the backend that is here, not one from the index.
    return mine | {
        "CCNB_HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "false",
    }


def copy_of_the_project(folder: Path) -> Path:
    """Copy what a clone would have."""
    return Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT)))
