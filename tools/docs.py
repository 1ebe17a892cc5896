"""`python -m tools.docs [modes] [pictures]`: write what the documents have of the code itself.

`modes` also measures the modes that are ready on this machine, and `pictures` draws runs of them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

from ccnb.frames.columns import markdown
from ccnb.gateway import process as gateway
from tools import commands, modes, place_pictures, token_pictures

DOCS = Path(__file__).parent.parent / "docs"
MEASURED = DOCS / "modes.json"
REPEATS = 4
_MADE = re.compile(r"(?<=<!-- made by tools\.docs -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write each of them."""
    with tempfile.TemporaryDirectory(prefix="ccnb-") as home:
        os.environ["CCNB_HOME"] = home
        try:
            if "modes" in sys.argv[1:]:
                MEASURED.write_text(json.dumps(modes.measure(), indent=2) + "\n")
            if "pictures" in sys.argv[1:]:
                draw_comparison(DOCS / "comparison.png")
        finally:
            gateway.stop(Path(home))
    for name, text in made().items():
        (DOCS / name).write_text(text)


def made() -> dict[str, str]:
    """Return all that is made of the code, by the file's name."""
    table = f"\n{modes.table(json.loads(MEASURED.read_text()))}\n\n"
    return {
        "frames.md": markdown(),
        "command-line.md": commands.page(),
        "index.md": _MADE.sub(lambda _: table, (DOCS / "index.md").read_text()),
        **token_pictures.drawn(),
        **place_pictures.drawn(),
    }


def draw_comparison(path: Path) -> None:
    """Draw real runs of the demo in every mode that is ready: their time by phase, and when they ran."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    import ccnb

    ready = [mode.mode for mode in ccnb.modes() if mode.ready]
    for mode in ready:
        ccnb.run("Warm up", mode=mode, api="script:demo")
    results = [
        ccnb.run("Write a word counter.", mode=mode, api="script:demo")
        for _ in range(REPEATS)
        for mode in ready
    ]
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6.4), height_ratios=(2, 3), layout="constrained")
    ccnb.plots.plot_phases(ccnb.frames.phases_frame(results), ax=above)
    runs, tools = ccnb.frames.runs_frame(results), ccnb.frames.tools_frame(results)
    ccnb.plots.plot_timeline(runs, tools, ax=below)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
