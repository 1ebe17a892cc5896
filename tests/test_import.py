"""`import ccnb` does nothing but make the names known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ccnb

HEAVY = {
    "anywidget",
    "asyncio",
    "docker",
    "httpx",
    "IPython",
    "ipywidgets",
    "keyring",
    "matplotlib",
    "nbclient",
    "pandas",
    "platformdirs",
    "pydantic",
    "requests",
    "rich",
    "scipy",
    "socket",
    "sqlite3",
    "ssl",
    "starlette",
    "subprocess",
    "typer",
    "uvicorn",
    "yaml",
}
WATCHED = """
import json, os, sys
seen = []
def watch(event, arguments):
    what = str(arguments[0]) if arguments else ""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    reads = event == "open" and not (arguments[2] or 0) & writing
    acts = event.startswith(("socket.", "subprocess.", "os.", "shutil.", "sqlite3.", "urllib."))
    if acts and event not in ("os.listdir", "os.scandir"):
        seen.append([event, what])
    elif event == "open" and not (reads and what.endswith((".py", ".pyc"))):
        seen.append([event, what])
class Environment(dict):
    def __getitem__(self, name):
        seen.append(["environment", str(name)])
        raise KeyError(name)
    def get(self, name, default=None):
        seen.append(["environment", str(name)])
        return default
before = set(sys.modules)
sys.addaudithook(watch)
sys.dont_write_bytecode = True
real, os.environ = os.environ, Environment()
import ccnb
os.environ = real
loaded = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
done = list(seen)
print(json.dumps({"seen": done, "loaded": loaded}))
"""


def fresh(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
        timeout=60,
        check=False,
    )


def test_it_prints_nothing():
    done = fresh("import ccnb")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_loads_nothing_heavy_touches_no_file_no_network_and_no_variable(tmp_path):
    done = fresh(WATCHED, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seen"] == []
    assert HEAVY.isdisjoint(found["loaded"]), HEAVY.intersection(found["loaded"])
    assert list(tmp_path.iterdir()) == []


def test_it_works_where_nothing_can_be_written():
    done = fresh("import ccnb", HOME="/nonexistent", CCNB_HOME="/proc/nothing/here")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ccnb.__all__)
def test_each_public_name_is_there_in_a_fresh_interpreter(name):
    assert getattr(ccnb, name) is not None
    assert name in dir(ccnb)


def test_all_names_come_by_a_star_and_twice_the_same():
    done = fresh(
        "import ccnb\n"
        "from ccnb import *\n"
        "assert all(getattr(ccnb, n) is globals()[n] is getattr(ccnb, n) for n in ccnb.__all__)\n"
        "assert set(ccnb.__all__) <= set(dir(ccnb))\n"
        "print(len(ccnb.__all__))"
    )
    assert done.stdout.strip() == str(len(ccnb.__all__)), done.stderr


def test_a_module_that_is_loaded_takes_no_public_name_away():
    """A sub-module is set as an attribute of its package when it is imported."""
    modules = sorted(path.stem for path in Path(ccnb.__file__).parent.iterdir() if path.suffix in ("", ".py"))
    assert not set(ccnb.__all__) & set(modules)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ccnb.no_such_name


def test_all_is_sorted_and_has_no_name_twice():
    assert ccnb.__all__ == sorted(set(ccnb.__all__))
