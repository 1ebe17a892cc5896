"""Change one thing in a module at a time, and see whether its tests notice.

`python -m tools.mutants [MODULE ...]` prints the changes that no test noticed, and their share.

The changes are mutmut's. Its own program leaves out properties, constants and defaults, which is most of
what the modules of values are made of, so they are made here: each in a fork, from the text of the module.
What `[tool.ccnb.mutants]` in pyproject.toml names is tested. A change that no test can notice, because it
changes nothing, counts as one that survived.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import hypothesis
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

MOST_SURVIVORS = 0.10
SLOW_S = 2.0
"""A test that takes longer isn't asked: hundreds of changes have to wait for all of those that are."""
_LEFT_OUT = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed."""

    line: int
    before: str
    after: str
    source: str


def mutants_of(source: str) -> Iterator[Mutant]:
    """Yield a module's mutants in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    positions, module = wrapper.resolve(PositionProvider), wrapper.module
    for node in _nodes(module):
        for kind, operator in mutation_operators:
            for new in operator(node) if isinstance(node, kind) else ():
                changed = module.deep_replace(node, new)
                yield Mutant(
                    positions[node].start.line,
                    module.code_for_node(node),
                    changed.code_for_node(new),
                    changed.code,
                )


def _nodes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield a tree's nodes, without annotations, decorators, imports and docstrings."""
    if isinstance(node, _LEFT_OUT) or (isinstance(node, cst.Expr) and isinstance(node.value, cst.BaseString)):
        return
    yield node
    for child in node.children:
        yield from _nodes(child)


class Changed:
    """Finds one module: the changed text in place of the file's."""

    def __init__(self, path: Path, source: str) -> None:
        self._name = ".".join(path.with_suffix("").parts)
        self._path, self._source = path, source

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Return the module's spec, if it is the one."""
        if name != self._name:
            return None
        loader = SourceFileLoader(name, str(self._path.resolve()))
        code = compile(self._source, str(self._path.resolve()), "exec", dont_inherit=True)
        loader.get_code = lambda _: code  # type: ignore[method-assign, assignment]
        return importlib.util.spec_from_loader(name, loader)


class Quick:
    """Lets pytest begin with the tests that are done first, and leave out the slow ones."""

    def __init__(self, took_s: dict[str, float]) -> None:
        self._took_s = took_s

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the tests in order."""
        items[:] = sorted(
            (i for i in items if self._took_s.get(i.nodeid, 0.0) <= SLOW_S),
            key=lambda i: self._took_s.get(i.nodeid, 0.0),
        )


class Stopwatch:
    """Notes how long each test takes."""

    def __init__(self) -> None:
        self.took_s: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note it."""
        self.took_s[report.nodeid] = self.took_s.get(report.nodeid, 0.0) + report.duration


def test(tests: Sequence[str], *plugins: Any) -> int:
    """Run tests in this process; return pytest's exit code."""
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )
    hypothesis.settings.load_profile("mutants")
    options = ["-x", "-q", "--noconftest", "--assert=plain", "-p", "no:cacheprovider"]
    return int(pytest.main([*options, *tests], plugins=list(plugins)))


def times_of(tests: Sequence[str]) -> dict[str, float]:
    """Return how long each test takes on the code as it is. They must pass."""
    with tempfile.NamedTemporaryFile("r") as told:
        pid = os.fork()
        if not pid:
            watch = Stopwatch()
            code = test(tests, watch)
            Path(told.name).write_text("\n".join(f"{s} {name}" for name, s in watch.took_s.items()))
            os._exit(code)
        if os.waitpid(pid, 0)[1]:
            sys.exit("the tests fail on the code as it is; mend that first")
        rows = (line.split(" ", 1) for line in told.read().splitlines())
        return {name: float(seconds) for seconds, name in rows}


def begin(path: Path, mutant: Mutant, tests: Sequence[str], took_s: dict[str, float]) -> int:
    """Test a mutant in a process of its own; return its id. It exits with 0 where no test noticed."""
    pid = os.fork()
    if pid:
        return pid
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    # An alarm that nobody handles ends what goes round in circles.
    signal.alarm(round(30 + 5 * sum(s for s in took_s.values() if s <= SLOW_S)))
    try:
        sys.meta_path.insert(0, Changed(path, mutant.source))
        code = test(tests, Quick(took_s))
    except BaseException:  # noqa: BLE001 - however it ended, it was noticed
        code = 1
    os._exit(code)


def survivors(path: Path, tests: Sequence[str], jobs: int) -> tuple[int, list[Mutant]]:
    """Return how many mutants a module has, and those that no test noticed."""
    took_s = times_of(tests)
    mutants = list(mutants_of(path.read_text()))
    waiting, running, survived = list(mutants), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            running[begin(path, mutant, tests, took_s)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if status == 0:
            survived.append(mutant)
    return len(mutants), sorted(survived, key=lambda m: m.line)


def main() -> int:
    """Test the modules that are named, or all."""
    table = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["ccnb"]["mutants"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(table), help="for example ccnb/stream.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    # What is loaded before the fork isn't loaded hundreds of times. Nothing of ours may be among it.
    import scipy.optimize
    import scipy.stats  # noqa: F401 - loaded once for all

    sys.path.insert(0, str(Path.cwd()))
    bad = 0
    for name in options.modules:
        begun = time.monotonic()
        total, survived = survivors(Path(name), table[name], options.jobs)
        for m in survived:
            print(f"  {name}:{m.line}: {m.before!r} → {m.after!r}")
        share = len(survived) / total
        bad += share >= MOST_SURVIVORS
        print(
            f"{name}: {total} mutants, {total - len(survived)} noticed, {len(survived)} survived "
            f"({share:.1%}), {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
