"""What a flood of events does to the page of a notebook, beside a page that shows nothing."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccnb
from bench import double
from bench.report import Figure
from tests.conftest import missing

RUNS, EVENTS, SPAN_S = 4, 50_000, 60
ALL = RUNS * EVENTS
LONG_TASK_MS, NODES, ANSWER_S = 100, 2_500, 5
TRAFFIC_MB = 2 * ALL / 100_000
_BATCH = 500
_FLOOD = (
    f"init; i=0; while [ $i -lt {EVENTS // _BATCH} ]; do j=0; while [ $j -lt {_BATCH} ]; do "
    f"say 'a line of the agent'; j=$((j+1)); done; sleep 0.35; i=$((i+1)); done; result"
)
_WATCH = """() => {
    window.long_tasks = [];
    const take = (list) => window.long_tasks.push(...list.getEntries().map((one) => one.duration));
    new PerformanceObserver(take).observe({ type: "longtask" });
}"""


def figures() -> Iterator[Figure]:
    """Yield how long the flood takes, what the page has of it, and how soon another cell is answered."""
    what = f"{ALL:,} events of {RUNS} runs in a notebook"
    if why := double.missing("local") or missing("browser"):
        yield Figure.absent(what, "ms", why)
        return
    taken = _measure()
    yield Figure.below(f"{what}: until the page shows all results", taken["took_s"], "s", SPAN_S)
    detail = f"an empty page beside it: {taken['control_ms']:.0f} ms"
    yield Figure.below(f"{what}: long tasks, p99", taken["long_ms"], "ms", LONG_TASK_MS, detail)
    yield Figure.below(f"{what}: traffic to the page", taken["traffic_mb"], "MB", TRAFFIC_MB)
    yield Figure.below(f"{what}: nodes of the views", taken["nodes"], "nodes", NODES)
    yield Figure.below(f"{what}: another cell's answer", taken["answer_s"], "s", ANSWER_S)
    yield Figure.below(f"{what}: lost", taken["lost"], "events", 0)


def _measure() -> dict[str, float]:
    from tests.browser import lab, quiet

    folder = Path(tempfile.mkdtemp(prefix="ccnb-bench-lab-"))
    home = Path(os.environ["CCNB_HOME"])
    api = double.options("local", _FLOOD)["api"]
    cell = f"%%cc -m local --api {api} --env {shlex.quote(f'AGENT={_FLOOD}')} --bg\nGo."
    with (
        quiet.network() as inside,
        lab.server(folder, inside) as jupyter,
        lab.browser(folder, inside) as chromium,
    ):
        context = chromium.new_context(viewport={"width": 1100, "height": 900})
        context.set_default_timeout(lab.CELL_MS)
        path = lab.Notebook.write(home, jupyter.kernel(), "%load_ext ccnb", *[cell] * RUNS, "6 * 7")
        notebook = lab.Notebook.open(context.new_page(), jupyter.address, path)
        taken = _flooded(notebook, context.new_page(), lab.expect)
        jupyter.end_kernels(notebook.page)
        context.close()
    return taken


def _flooded(notebook: Any, control: Any, expect: Any) -> dict[str, float]:
    notebook.run_all_of(0)
    for page in (notebook.page, control):
        page.evaluate(_WATCH)
    notebook.page.bring_to_front()
    before, begun = notebook.received_bytes, time.perf_counter()
    for number in range(1, RUNS + 1):
        notebook.run_all_of(number)
    views = [notebook.output(number) for number in range(1, RUNS + 1)]
    views[0].get_by_title("show the conversation").click()
    notebook.page.wait_for_timeout(10_000)
    nodes = sum(view.locator("*").count() for view in views)
    asked = time.perf_counter()
    notebook.run_all_of(RUNS + 1)
    answer_s = time.perf_counter() - asked
    for view in views:
        expect(view).to_contain_text("local: success", timeout=5 * SPAN_S * 1_000)
    took_s = time.perf_counter() - begun
    kept = sum(len(ccnb.attach(row.run_id).events) - 2 for row in ccnb.runs(limit=RUNS))
    return {
        "took_s": took_s,
        "long_ms": _p99(notebook.page.evaluate("() => window.long_tasks")),
        "control_ms": _p99(control.evaluate("() => window.long_tasks")),
        "traffic_mb": (notebook.received_bytes - before) / 1e6,
        "nodes": nodes,
        "answer_s": answer_s,
        "lost": ALL - kept,
    }


def _p99(durations_ms: list[float]) -> float:
    ordered = sorted(durations_ms)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if ordered else 0.0
