"""A client that compares, to be killed: `python -m tests.comparison.client NAME`."""

from __future__ import annotations

import sys

import ccnb

VARIANTS = {
    "quick": {"env": {"AGENT": "init; echo x >> made; sleep 0.12; say one; result"}},
    "slow": {"env": {"AGENT": "init; echo x >> made; sleep 0.45; say one; result"}},
}


def compare(name: str, repeats: int = 20, **more) -> ccnb.Comparison:
    """Compare a quick with a slow agent, both shell programs."""
    options = {"modes": ["local"], "variants": VARIANTS, "api": "script:demo", "warmups": 0}
    return ccnb.compare("Do it.", repeats=repeats, name=name, **options | more)


if __name__ == "__main__":
    compare(sys.argv[1], on_progress=lambda line: print(line, flush=True))
