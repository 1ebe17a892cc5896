"""The panel: a form that starts runs, the runs themselves, and those before them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets

from ccnb import render
from ccnb.comparison.background import Comparing
from ccnb.errors import CcnbError
from ccnb.redact import Redactor
from ccnb.runner import api
from ccnb.runner.handles import Run
from ccnb.runner.ready import readiness
from ccnb.spec import AUTHS
from ccnb.store import RunRow
from ccnb.widgets import request
from ccnb.widgets.purse import purse
from ccnb.widgets.rate import EVERY_S
from ccnb.widgets.view import RunView

_STATIC = Path(__file__).parent / "static"
_EARLIER = 12
_MODELS = ("haiku", "sonnet", "opus")
WORDS = "the panel needs a notebook that shows widgets; elsewhere there is ccnb.run(PROMPT, mode=...)"


def panel() -> Panel:
    """Return a panel: write a prompt, pick a mode, run, watch, compare modes, look at earlier runs.

    It shows the same as calls in Python, ready to copy. What is typed stays in the page.
    """
    return Panel()


class Panel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The form, and below it the runs that are looked at."""

    def __init__(self) -> None:
        self._form = Form()
        super().__init__([self._form])
        self._view: RunView | None = None
        self._going: Run | Comparing | None = None
        self._stopped = threading.Event()
        self._going_on = threading.Lock()
        acts = {"run": self._start, "compare": self._run_each, "stop": self._stop, "open": self._open}
        self._form.acts.update(acts)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data |= {"text/plain": WORDS, "text/html": f"<i>{WORDS}</i>"}
        return bundle

    def _start(self, content: dict[str, Any]) -> None:
        """Check the form and run what it asks for, one run after the other."""
        form = content.get("form") or {}
        prompt, options = str(form.get("prompt") or ""), request.options_of(form)
        repeats = request.repeats_of(form)
        mode = request.check(prompt, options).mode
        with self._busy() as view:
            for _ in range(repeats):
                if not self._stopped.is_set():
                    self._one(view, prompt, options | {"mode": mode})

    def _one(self, view: RunView, prompt: str, options: dict[str, Any]) -> None:
        limits = purse().limits(options, [options["mode"]])
        self._going = run = api.start(prompt, on_progress=self._note, **{**options, **limits})
        purse().watch(run)
        view.add(run)
        self._form.tell(note="")
        if self._stopped.is_set():
            run.cancel()
        run.result()

    def _run_each(self, content: dict[str, Any]) -> None:
        """Check the form, run it in each mode that is ticked, and show what comes of it."""
        form = content.get("form") or {}
        prompt, options = str(form.get("prompt") or ""), request.options_of(form)
        repeats, modes = request.repeats_of(form), request.modes_of(form)
        for mode in modes:
            request.check(prompt, options | {"mode": mode})
        del options["mode"]
        limits = purse().limits(options, modes, runs=len(modes) * repeats)
        with self._busy() as view:
            self._going = going = Comparing(
                prompt,
                modes=modes,
                repeats=repeats,
                on_progress=self._note,
                on_run=purse().watch,
                **{**options, **limits},
            )
            if self._stopped.is_set():
                going.cancel()
            _show_as_they_begin(going, view)
            try:
                found = going.result()
            except CancelledError:
                return
            self._form.tell(compared={"html": found._repr_html_(), "name": found.name})

    @contextmanager
    def _busy(self) -> Iterator[RunView]:
        """Do one thing at a time; give the view of its runs."""
        if not self._going_on.acquire(blocking=False):
            raise CcnbError("a run goes on; stop it first, or wait for its end")
        try:
            self._stopped.clear()
            self._form.tell(busy=True, error="", note="starting", compared=None)
            yield self._show(RunView())
        finally:
            self._going = None
            self._going_on.release()
            self._form.tell(busy=False, note="", runs=_earlier())

    def _note(self, line: str) -> None:
        self._form.tell(note=render.one_line(line, 200))

    def _stop(self, _: dict[str, Any]) -> None:
        self._stopped.set()
        if self._going is not None:
            self._going.cancel()

    def _open(self, content: dict[str, Any]) -> None:
        self._show(RunView([api.attach(str(content.get("run")))]))

    def _show(self, view: RunView) -> RunView:
        before, self._view = self._view, view
        self.children = (self._form, view)
        if before is not None:
            before.close()
        return view


def _show_as_they_begin(going: Comparing, view: RunView) -> None:
    shown = 0
    while True:
        over = going.done
        for run in going.runs[shown:]:
            view.add(run)
            shown += 1
        if over:
            return
        time.sleep(EVERY_S)


class Form(anywidget.AnyWidget):
    """The page's part of the panel. Its traits hold nothing: all goes in messages."""

    _esm = _STATIC / "panel.js"
    _css = _STATIC / "panel.css"

    def __init__(self) -> None:
        super().__init__()
        self.acts: dict[str, Callable[[dict[str, Any]], None]] = {"ready": self._ready}
        self._said: dict[str, Any] = {"busy": False, "error": "", "note": "", "compared": None}
        self.on_msg(self._hear)

    def tell(self, **what: Any) -> None:
        """Tell all pages something."""
        self._said |= {name: value for name, value in what.items() if name in self._said}
        self.send(what)

    def _hear(self, _: Any, content: Any, __: Any) -> None:
        kind = str(content.get("kind")) if isinstance(content, dict) else ""
        if kind == "form":
            # In its order, and at once: what is said of a run must not be taken away by what came before it.
            self._do(self._write, content)
        elif (act := self.acts.get(kind)) is not None:
            # The kernel goes on meanwhile: engines are asked, files are looked at.
            threading.Thread(target=self._do, args=(act, content), name="ccnb-panel", daemon=True).start()

    def _do(self, act: Callable[[dict[str, Any]], None], content: dict[str, Any]) -> None:
        try:
            act(content)
        except CcnbError as error:
            self.tell(error=error.message)

    def _ready(self, _: dict[str, Any]) -> None:
        self.tell(auths=list(AUTHS), models=list(_MODELS), runs=_earlier(), **self._said)
        self.tell(
            modes=[{"name": m.mode, "ready": m.ready, "why": m.why, "remote": m.remote} for m in readiness()]
        )

    def _write(self, content: dict[str, Any]) -> None:
        """Write down what the form asks for in Python."""
        form = content.get("form") or {}
        prompt, options = str(form.get("prompt") or ""), request.options_of(form)
        repeats = request.repeats_of(form)
        calls = [request.python_of(prompt, options, repeats)]
        if form.get("modes"):
            calls.append(request.comparing_python_of(prompt, options, request.modes_of(form), repeats))
        self.tell(python=[Redactor().text(call) for call in calls])
        if content.get("edited"):
            self.tell(error="")


def _earlier() -> list[dict[str, str]]:
    return [_listed(row) for row in api.runs(limit=_EARLIER)]


def _listed(row: RunRow) -> dict[str, str]:
    record = row.record
    return {
        "run": row.run_id,
        "mode": row.mode,
        "outcome": render.verdict(record).plain if record else row.state,
        "time": render.duration(record.timings.wall_s) if record else "",
        "cost": render.money(record.total_cost_usd) if record else "",
        "prompt": render.one_line(row.spec.prompt, 80),
    }
