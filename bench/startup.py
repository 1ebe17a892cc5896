"""What `import ccnb` costs beyond the interpreter, and `%load_ext ccnb` beyond IPython."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from bench.report import Figure

PAIRS = 24
WARM_UP = 2
LIMIT_MS = 100
BARE = "pass"
IMPORT = "import ccnb"
# The parts that are left until they are needed: the runner, the store, the engine's SDK.
USE = "import ccnb; ccnb.run; import ccnb.mode.docker"
SHELL = "from IPython.core.interactiveshell import InteractiveShell; s = InteractiveShell()"
LOAD = f"{SHELL}; s.run_line_magic('load_ext', 'ccnb')"
LOAD_LIMIT_MS = 250


def figures() -> Iterator[Figure]:
    """Yield the median differences: the import, the import with what a first run needs, the extension."""
    took = _times((BARE, IMPORT, USE, SHELL, LOAD))
    detail = f"{PAIRS} pairs; the interpreter itself {statistics.median(took[BARE]):.0f} ms"
    yield Figure.below("import ccnb", _beyond(took[BARE], took[IMPORT]), "ms", LIMIT_MS, detail)
    yield Figure("import of all that a run needs", _beyond(took[BARE], took[USE]), "ms")
    detail = f"{PAIRS} pairs; IPython itself {statistics.median(took[SHELL]):.0f} ms"
    yield Figure.below("%load_ext ccnb", _beyond(took[SHELL], took[LOAD]), "ms", LOAD_LIMIT_MS, detail)


def _times(programs: Sequence[str]) -> dict[str, list[float]]:
    """Return the milliseconds that each program took, again and again, by turns."""
    took: dict[str, list[float]] = {code: [] for code in programs}
    for number in range(-WARM_UP, PAIRS):
        for code in programs if number % 2 else reversed(programs):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if number >= 0:
                took[code].append((time.perf_counter() - begun) * 1000)
    return took


def _beyond(bare: list[float], took: list[float]) -> float:
    return statistics.median(more - less for less, more in zip(bare, took, strict=True))
