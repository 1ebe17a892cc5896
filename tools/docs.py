"""`python -m tools.docs [pictures]`: write the documents, and if asked the pictures, that the code makes."""

from __future__ import annotations

import sys
from pathlib import Path

from ccnb.frames.columns import markdown

DOCS = Path(__file__).parent.parent / "docs"
REPEATS = 4


def main() -> None:
    """Write each of them."""
    (DOCS / "frames.md").write_text(markdown())
    if "pictures" in sys.argv[1:]:
        draw_comparison(DOCS / "comparison.png")


def draw_comparison(path: Path) -> None:
    """Draw real runs of the demo in every mode that is ready: their time by phase, and when they ran."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    import ccnb

    modes = [mode.mode for mode in ccnb.modes() if mode.ready]
    for mode in modes:
        ccnb.run("Warm up", mode=mode, api="script:demo")
    results = [
        ccnb.run("Write a word counter.", mode=mode, api="script:demo")
        for _ in range(REPEATS)
        for mode in modes
    ]
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6.4), height_ratios=(2, 3), layout="constrained")
    ccnb.plots.plot_phases(ccnb.frames.phases_frame(results), ax=above)
    runs, tools = ccnb.frames.runs_frame(results), ccnb.frames.tools_frame(results)
    ccnb.plots.plot_timeline(runs, tools, ax=below)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
