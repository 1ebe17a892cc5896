"""What `import ccnb` costs beyond the interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.report import Figure

PAIRS = 24
LIMIT_MS = 100


def figures() -> Iterator[Figure]:
    """Yield the median difference."""
    differences, bare = [], []
    for number in range(-2, PAIRS):
        took = {}
        for code in ("pass", "import ccnb") if number % 2 else ("import ccnb", "pass"):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            took[code] = time.perf_counter() - begun
        if number >= 0:
            differences.append((took["import ccnb"] - took["pass"]) * 1000)
            bare.append(took["pass"] * 1000)
    detail = f"{PAIRS} pairs; the interpreter itself {statistics.median(bare):.0f} ms"
    yield Figure.below("import ccnb", statistics.median(differences), "ms", LIMIT_MS, detail)
