"""Join what the tests' processes have measured and hold it to its bounds: `python -m tools.coverage`.

The whole package: `fail_under` in pyproject.toml. The floors of values and of what stands next to them
(CONTRIBUTING.md has the table): more.
"""

from __future__ import annotations

import subprocess
import sys

from tests.test_floors import FLOOR

LOW_FLOORS = [room for room, floor in FLOOR.items() if floor < FLOOR["mode"]]
LOW_FLOORS_PERCENT = 95


def main() -> int:
    """Report; return 1 where too little is run by the tests."""
    coverage = (sys.executable, "-m", "coverage")
    low = ",".join(f"*/ccnb/{room}{end}" for room in LOW_FLOORS for end in (".py", "/*"))
    subprocess.run([*coverage, "combine", "--quiet"], check=False)  # nothing to join when done before
    whole = subprocess.run([*coverage, "report", "--skip-covered"], check=False).returncode
    print(f"\nFloors 0 and 1, at least {LOW_FLOORS_PERCENT} %:")
    under = f"--fail-under={LOW_FLOORS_PERCENT}"
    floors = subprocess.run([*coverage, "report", f"--include={low}", under], check=False).returncode
    return 1 if whole or floors else 0


if __name__ == "__main__":
    sys.exit(main())
