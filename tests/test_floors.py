"""Imports go only down: the table of rooms in the design, held by reading every module's imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import ccnb

ROOT = Path(ccnb.__file__).parent

FLOORS = (
    # The ground floor's values are made of one another, in this order.
    {"errors", "_interrupts"},
    {"redact"},
    {"network"},
    {"spec"},
    {"events"},
    {"results"},
    {"store", "stream", "render", "claude", "engine", "fly", "credentials", "_loop", "_process"},
    {"mode", "gateway"},
    {"runner"},
    {"frames", "stats", "plots"},
    {"comparison"},
    {"widgets", "reports"},
    {"magics", "cli"},
)
"""From the ground up. Rooms on one floor do not import each other."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

OWNERS = {
    "docker": {"engine"},
    "keyring": {"credentials"},
    "dotenv": {"credentials"},
    "starlette": {"gateway"},
    "uvicorn": {"gateway"},
    "pandas": {"frames", "plots"},
    "scipy": {"stats"},
    "matplotlib": {"plots"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "nbclient": {"reports"},
    "nbformat": {"reports"},
    "nbconvert": {"reports"},
    "IPython": {"magics"},
    "typer": {"cli"},
}
"""Who alone may import what; other packages may be used anywhere."""


def room_of(path):
    """Return a module's room: its part below `ccnb`. The package's two dunder files are above all."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return None if first in ("__init__", "__main__") else first


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if "data" not in path.relative_to(ROOT).parts[:1])


def imports_of(path):
    """Yield the full name of all that a module imports, at its top, for types only, or anywhere in it."""
    package = ["ccnb", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{name.name}" for name in node.names)
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
        ):
            yield from (
                a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def inner_imports():
    """Yield `(path, room, parts of the imported name)` for imports of one room by another."""
    for path in modules():
        for name in imports_of(path):
            top, *parts = name.split(".")
            if top == "ccnb" and parts and room_of(path) is not None and parts[0] != room_of(path):
                yield path, room_of(path), parts


every_module = pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))


@every_module
def test_every_module_is_in_a_room_that_the_table_has(path):
    assert room_of(path) in {None, *FLOOR}


def test_imports_go_only_down():
    wrong = {
        f"{path.relative_to(ROOT)} (floor {FLOOR[room]}) imports {parts[0]} (floor {FLOOR.get(parts[0])})"
        for path, room, parts in inner_imports()
        if parts[0] not in FLOOR or FLOOR[parts[0]] >= FLOOR[room]
        if parts[0] != "__version__"
    }
    assert wrong == set()


def test_a_mode_never_imports_another_mode():
    """Of its own room a mode takes the shared parts only: `base`, and what begins with `_`."""
    wrong = [
        f"{path.name} imports {name}"
        for path in (ROOT / "mode").glob("*.py")
        if path.name != "__init__.py"
        for name in imports_of(path)
        if name.startswith("ccnb.mode.")
        and not (name.split(".")[2] == "base" or name.split(".")[2].startswith("_"))
    ]
    assert wrong == []


def test_shared_parts_of_the_modes_import_no_mode_either():
    modes = {path.stem for path in (ROOT / "mode").glob("[a-z]*.py")} - {"base"}
    assert modes >= {"docker", "podman"}
    for path in (ROOT / "mode").glob("[_b]*.py"):
        if path.name != "__init__.py":
            assert not [
                n for n in imports_of(path) if n.startswith("ccnb.mode.") and n.split(".")[2] in modes
            ]


def test_each_package_is_imported_by_its_owner_alone():
    wrong = defaultdict(set)
    for path in modules():
        for name in imports_of(path):
            package = name.partition(".")[0]
            if package in OWNERS and room_of(path) not in OWNERS[package]:
                wrong[package].add(str(path.relative_to(ROOT)))
    assert wrong == {}


def test_the_rooms_of_values_do_no_input_and_no_output():
    banned = {
        "os",
        "subprocess",
        "socket",
        "sqlite3",
        "shutil",
        "asyncio",
        "tempfile",
        "urllib.request",
        "io",
    }
    for room in ("errors", "redact", "network", "spec", "events", "results"):
        for name in imports_of(ROOT / f"{room}.py"):
            assert name not in banned
            assert name.partition(".")[0] not in banned
