"""The magics themselves: parse, call, show."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class, no_var_expand
from traitlets import Float, Unicode, observe

import ccnb
from ccnb.errors import CcnbError, SpecError
from ccnb.magics import options as o

# What runs things is imported when the first cell runs: loading the extension must not be felt.

_DEFAULTS = ("mode", "model", "api", "workspace", "auth", "network", "check", "timeout_s")


@contextmanager
def in_one_line() -> Iterator[None]:
    """Show an error that is raised on purpose as one line, as IPython does for `UsageError` itself."""
    try:
        yield
    except SpecError as error:
        from ccnb.runner.values import with_options

        raise UsageError(with_options(error.message)) from None
    except CcnbError as error:
        raise UsageError(error.message) from None


@magics_class
class CcMagics(Magics):
    """Run Claude Code from a notebook. What isn't set here or in a cell is ccnb's own default."""

    mode = Unicode(None, allow_none=True, help="Where it runs; else CCNB_MODE, else auto.").tag(config=True)
    model = Unicode(None, allow_none=True, help="The model's name or alias.").tag(config=True)
    api = Unicode(None, allow_none=True, help="Where answers come from: live, script:demo.").tag(config=True)
    workspace = Unicode(None, allow_none=True, help="The folder to work in.").tag(config=True)
    auth = Unicode(None, allow_none=True, help="How the credential gets to the agent.").tag(config=True)
    network = Unicode(None, allow_none=True, help="open, none, or the only hosts.").tag(config=True)
    check = Unicode(None, allow_none=True, help="A command to run after the agent.").tag(config=True)
    timeout_s = Float(None, allow_none=True, help="Seconds that an agent may work.").tag(config=True)
    max_usd = Float(
        None,
        allow_none=True,
        help="The most that cells and panel spend from now on; else CCNB_MAX_USD.",
    ).tag(config=True)

    def __init__(self, shell: Any, parser: o.Parser) -> None:
        super().__init__(shell)
        self._parser = parser
        self._variables: dict[str, Any] = shell.user_ns

    @no_var_expand
    def cc(self, line: str, cell: str | None = None) -> Any:
        """Run a prompt and return its result; see `cc_parser` for the options."""
        from ccnb.magics.running import Blocking, complete

        return complete(self._cc(line, cell, Blocking()))

    async def acc(self, line: str, cell: str) -> Any:
        """Run a prompt with the kernel's loop going on; the twin of `cc`."""
        from ccnb.magics.running import OnLoop

        return await self._cc(line, cell, OnLoop())

    async def _cc(self, line: str, cell: str | None, waiting: Any) -> Any:
        with in_one_line():
            from ccnb.magics.request import make_request
            from ccnb.magics.running import perform

            given, prompt = self._given(line, cell)
            defaults = {name: getattr(self, name) for name in _DEFAULTS}
            request = make_request(given, prompt, defaults, self._variables)
            value = await perform(request, self.shell, waiting)
        if request.out is not None:
            self._variables[request.out] = value
        return value

    @observe("max_usd")
    def _cap(self, change: Any) -> None:
        from ccnb.widgets.purse import purse

        purse().limit_usd = change["new"]

    def _given(self, line: str, cell: str | None) -> tuple[Namespace, str]:
        if cell is None:
            words, prompt = o.split_prompt(line, self._parser)
            return self._parser.parse(words), prompt
        return self._parser.parse(o.words_of(line)), cell.strip("\n")

    def _options(self, name: str, line: str) -> Namespace:
        return o.LINES[name].parse(o.words_of(line))

    def cc_modes(self, line: str) -> Any:
        """Show the modes: which are ready, and why the others aren't."""
        self._options("cc_modes", line)
        with in_one_line():
            return ccnb.modes()

    def cc_runs(self, line: str) -> Any:
        """List the runs that are kept, the latest first."""
        given = self._options("cc_runs", line)
        with in_one_line():
            return ccnb.runs(**{name: value for name, value in vars(given).items() if value is not None})

    def cc_attach(self, line: str) -> Any:
        """Follow a run from its first event to its result; the interrupt leaves it going on."""
        from ccnb.magics.running import Blocking, complete

        return complete(self._attach(line, Blocking()))

    async def acc_attach(self, line: str) -> Any:
        """Follow a run with the kernel's loop going on; the twin of `cc_attach`."""
        from ccnb.magics.running import OnLoop

        return await self._attach(line, OnLoop())

    async def _attach(self, line: str, waiting: Any) -> Any:
        given = self._options("cc_attach", line)
        with in_one_line():
            from ccnb.magics.live import open_view
            from ccnb.magics.running import watch
            from ccnb.store import Store

            row = Store().run(given.run)
            began_at = row.created_at.timestamp()
            view = open_view(self.shell, awaited=waiting.answers, begun_at=began_at)
            return await watch(ccnb.attach(row.run_id), view, waiting)

    def cc_stop(self, line: str) -> Any:
        """End a run and return its result."""
        given = self._options("cc_stop", line)
        with in_one_line():
            run = ccnb.attach(given.run)
            run.cancel()
            return run.result()

    def cc_sweep(self, line: str) -> Any:
        """Remove the places that no run needs any more."""
        given = self._options("cc_sweep", line)
        with in_one_line():
            from ccnb.runner.lists import SweptList
            from ccnb.runner.values import seconds

            older = given.older_than and seconds(given.older_than, "--older-than")
            return SweptList(ccnb.sweep(older or None))

    def cc_token(self, line: str) -> Any:
        """Show which token is there, what kind it is and how long it lasts; never its value."""
        given = self._options("cc_token", line)
        if given.reveal:
            raise UsageError("a notebook keeps what it shows, so no token is revealed here; use the terminal")
        with in_one_line():
            return ccnb.token()
