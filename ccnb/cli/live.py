"""Show a run while it goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ccnb._interrupts import Flag
from ccnb.events import Event
from ccnb.render import event_lines, harmless, status_line
from ccnb.runner.handles import Run, RunResult
from ccnb.stream import Tally

_REFRESH_PER_S = 8
_LOOK_S = 0.05
_END_LIMIT_S = 20.0
"""How long a run that was interrupted may take to clean up before we leave it to `attach`."""


class View:
    """A line for each event; below them, on a terminal, one that says how the run stands.

    Parameters
    ----------
    console
        Where to show it.
    quiet
        Show nothing.
    begun_at
        Unix seconds at which the run began; `None` is now.
    """

    def __init__(self, console: Console, *, quiet: bool = False, begun_at: float | None = None) -> None:
        self._console = console
        self._quiet = quiet
        self._begun_at = begun_at or time.time()
        self._run: Run | None = None
        self._note = ""
        self._folder = ""
        self._tally = Tally()
        self._message_id: str | None = None
        self._turns = 0

    def say(self, line: str) -> None:
        """Show a line about what takes its time: it passes by on a terminal, it stays in a file."""
        self._note = line
        if not self._quiet and not self._console.is_terminal:
            self._console.print(Text(harmless(line)), soft_wrap=True)

    def follow(self, run: Run) -> RunResult:
        """Show a run to its end and return its result. Ctrl-C ends the run, and is raised after its clean-up.

        Raises
        ------
        CcnbError
        """
        self._run = run
        shown = Flag()

        def show() -> None:
            try:
                self._show_all(run)
            finally:
                shown.set()

        with self._display(), self._hear_interrupt():
            threading.Thread(target=show, daemon=True).start()
            try:
                shown.wait()
            except KeyboardInterrupt:
                run.cancel()
                shown.wait(_END_LIMIT_S)
                raise
        return run.result()

    def watch(self, run: Run) -> RunResult:
        """Show a run to its end and return its result. Ctrl-C only ends the showing.

        Raises
        ------
        CcnbError
        """
        self._run = run
        with self._display():
            self._show_all(run)
        return run.result()

    def wait_until_running(self, run: Run) -> None:
        """Show what is made ready, until the agent runs or the run has ended."""
        self._run = run
        with self._display():
            while run.state in ("preparing", "starting") and not run.done:
                time.sleep(_LOOK_S)

    def _show_all(self, run: Run) -> None:
        for event in run:
            self._show(event)

    def _show(self, event: Event) -> None:
        self._tally.add(event)
        if (
            event.type == "assistant"
            and event.message_id != self._message_id
            and not event.parent_tool_use_id
        ):
            self._message_id = event.message_id
            self._turns += 1
        if event.subtype == "init":
            self._folder = str(event.raw.get("cwd") or "")
        if self._quiet:
            return
        for line in event_lines(event, folder=self._folder):
            since_s = max(0.0, event.at.timestamp() - self._begun_at)
            self._print(Text.assemble((f"{since_s:7.2f} s  ", "dim"), line))

    def _print(self, line: Text) -> None:
        if self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(line, soft_wrap=True)

    @contextmanager
    def _display(self) -> Iterator[None]:
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._status,
            console=self._console,
            refresh_per_second=_REFRESH_PER_S,
            transient=True,
        ):
            yield

    def _status(self) -> Text:
        run = self._run
        line = status_line(
            state=run.state if run else "preparing",
            health=run.health if run else "ok",
            elapsed_s=time.time() - self._begun_at,
            turns=self._turns,
            tokens=self._tally.final_usage.total_tokens,
            note=self._note if run is None or run.state in ("preparing", "starting", "stopping") else "",
        )
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    @contextmanager
    def _hear_interrupt(self) -> Iterator[None]:
        """Say at once that Ctrl-C was heard; the clean-up takes its time."""

        def heard(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, before)
            if not self._quiet:
                self._console.print(Text("stopping and cleaning up; Ctrl-C again doesn't wait", "yellow"))
            signal.default_int_handler(number, frame)

        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
