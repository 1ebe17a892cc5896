"""The magics themselves, and how they get into IPython."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class, no_var_expand
from traitlets import Float, Unicode

import ccnb
from ccnb.errors import CcnbError, SpecError
from ccnb.magics import options as o
from ccnb.magics.complete import options_of

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
    network = Unicode(None, allow_none=True, help="open or none.").tag(config=True)
    check = Unicode(None, allow_none=True, help="A command to run after the agent.").tag(config=True)
    timeout_s = Float(None, allow_none=True, help="Seconds that an agent may work.").tag(config=True)
    max_usd = Float(
        None, allow_none=True, help="The most that is spent from this kernel on; else CCNB_MAX_USD."
    ).tag(config=True)

    def __init__(self, shell: Any, parser: o.Parser) -> None:
        super().__init__(shell)
        self._purse: Any = None
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
            value = await perform(request, self.shell, self._money, self.max_usd, waiting)
        if request.out is not None:
            self._variables[request.out] = value
        return value

    @property
    def _money(self) -> Any:
        if self._purse is None:
            from ccnb.magics.purse import Purse

            self._purse = Purse()
        return self._purse

    def _given(self, line: str, cell: str | None) -> tuple[Namespace, str]:
        if cell is None:
            words, prompt = o.split_prompt(line, self._parser)
            return self._parser.parse(words), prompt
        return self._parser.parse(o.words_of(line)), cell.strip("\n")

    def cc_modes(self, line: str) -> Any:
        """Show the modes: which are ready, and why the others aren't."""
        o.plain_parser("%cc_modes", "").parse(o.words_of(line))
        with in_one_line():
            return ccnb.modes()

    def cc_runs(self, line: str) -> Any:
        """List the runs that are kept, the latest first."""
        given = o.runs_parser().parse(o.words_of(line))
        with in_one_line():
            return ccnb.runs(**{name: value for name, value in vars(given).items() if value is not None})

    def cc_attach(self, line: str) -> Any:
        """Follow a run from its first event to its result; the interrupt leaves it going on."""
        given = o.run_parser("%cc_attach", "").parse(o.words_of(line))
        with in_one_line():
            from ccnb.magics.live import open_view
            from ccnb.magics.running import Blocking, complete, watch
            from ccnb.store import Store

            row = Store().run(given.run)
            view = open_view(self.shell, quiet=False, begun_at=row.created_at.timestamp())
            return complete(watch(ccnb.attach(row.run_id), view, Blocking()))

    def cc_stop(self, line: str) -> Any:
        """End a run and return its result."""
        given = o.run_parser("%cc_stop", "").parse(o.words_of(line))
        with in_one_line():
            run = ccnb.attach(given.run)
            run.cancel()
            return run.result()

    def cc_sweep(self, line: str) -> Any:
        """Remove the places that no run needs any more."""
        given = o.sweep_parser().parse(o.words_of(line))
        with in_one_line():
            from ccnb.runner.lists import SweptList
            from ccnb.runner.values import seconds

            older = given.older_than and seconds(given.older_than, "--older-than")
            return SweptList(ccnb.sweep(older or None))

    def cc_token(self, line: str) -> Any:
        """Show which token is there, what kind it is and how long it lasts; never its value."""
        flags = [("--reveal", "refused: what a notebook shows is saved with it")]
        given = o.plain_parser("%cc_token", "", flags).parse(o.words_of(line))
        if given.reveal:
            raise UsageError("a notebook keeps what it shows, so no token is revealed here; use the terminal")
        token = getattr(ccnb, "token", None)
        if not callable(token):
            raise UsageError("this version of ccnb can't look at tokens; set CLAUDE_CODE_OAUTH_TOKEN")
        with in_one_line():
            return token()


LINES = {
    "cc_modes": o.plain_parser("%cc_modes", "Show the modes: which are ready, and why the others aren't."),
    "cc_runs": o.runs_parser(),
    "cc_attach": o.run_parser("%cc_attach", "Follow a run to its result; the interrupt leaves it going on."),
    "cc_stop": o.run_parser("%cc_stop", "End a run and return its result."),
    "cc_sweep": o.sweep_parser(),
    "cc_token": o.plain_parser(
        "%cc_token",
        "Show which token is there, what kind it is and how long it lasts; never its value.",
        [("--reveal", "refused: what a notebook shows is saved with it")],
    ),
}
"""The line magics and what they take."""


def load(shell: Any) -> None:
    """Give the magics to a shell; twice is harmless."""
    unload(shell)
    cell = _free_name(shell)
    parser = o.cc_parser(f"%%{cell}")
    magics = CcMagics(shell, parser)
    shell.register_magics(magics)
    _register(shell, _documented(magics.cc, parser), ("line", "cell"), cell)
    _offer(shell, (f"%{cell}", f"%%{cell}"), parser)
    for name, one in LINES.items():
        if _is_free(shell, "line", name):
            _register(shell, _documented(getattr(magics, name), one), ("line",), name)
            _offer(shell, (f"%{name}", name), one)
        else:
            sys.stderr.write(f"%{name} belongs to another extension, and is left to it\n")
    if hasattr(shell, "kernel"):
        Awaited(shell, cell)


def unload(shell: Any) -> None:
    """Take the magics away again, and leave everybody else's."""
    for kind, known in shell.magics_manager.magics.items():
        for name in [n for n, function in known.items() if _is_ours(function)]:
            del shell.magics_manager.magics[kind][name]
    shell.configurables[:] = [one for one in shell.configurables if not isinstance(one, CcMagics)]
    for one in [one for one in shell.input_transformers_cleanup if isinstance(one, Awaited)]:
        one.remove()


class Awaited:
    """Turns a `%%cc` cell into an awaited call: then the kernel can answer while the cell runs.

    A `%%cc` inside of another magic's cell (`%%time`) stays as it is: there nothing can be awaited.
    """

    def __init__(self, shell: Any, name: str) -> None:
        self._shell = shell
        self._head = f"%%{name}"
        self._in_cell = False
        self._hooks = {"pre_run_cell": self._begin, "post_run_cell": self._end}
        for event, hook in self._hooks.items():
            shell.events.register(event, hook)
        shell.input_transformers_cleanup.append(self)

    def remove(self) -> None:
        """Undo it."""
        for event, hook in self._hooks.items():
            self._shell.events.unregister(event, hook)
        self._shell.input_transformers_cleanup.remove(self)

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines of the cell (IPython's protocol of input transformers)."""
        first = lines[0].rstrip() if lines else ""
        name, _, options = first.partition(" ")
        if name != self._head or self._in_cell or not self._shell.autoawait:
            return lines
        body = "".join(lines[1:])
        return [f"await get_ipython().magics_manager.registry['CcMagics'].acc({options!r}, {body!r})\n"]

    def _begin(self, _: Any) -> None:
        self._in_cell = True

    def _end(self, _: Any) -> None:
        self._in_cell = False


def _free_name(shell: Any) -> str:
    if _is_free(shell, "cell", "cc") and _is_free(shell, "line", "cc"):
        return "cc"
    sys.stderr.write("%%cc belongs to another extension, and is left to it; ccnb's is %%ccnb\n")
    return "ccnb"


def _is_free(shell: Any, kind: str, name: str) -> bool:
    function = shell.magics_manager.magics[kind].get(name)
    return function is None or _is_ours(function)


def _is_ours(function: Any) -> bool:
    return getattr(function, "is_ccnbs", False)


def _documented(method: Callable[..., Any], parser: o.Parser) -> Callable[..., Any]:
    """Return the magic as a function whose document is its help: `%%cc?` shows it."""
    if method.__name__ == "cc":

        def magic(line: str, cell: str | None = None) -> Any:
            return method(line, cell)
    else:

        def magic(line: str, cell: str | None = None) -> Any:  # noqa: ARG001 - all are called alike
            return method(line)

    magic.__doc__ = parser.format_help()
    magic.__name__ = magic.__qualname__ = parser.prog.lstrip("%")
    marked: Any = no_var_expand(magic)
    marked.is_ccnbs = True
    return magic


def _register(shell: Any, function: Callable[..., Any], kinds: tuple[str, ...], name: str) -> None:
    for kind in kinds:
        shell.register_magic_function(function, kind, name)


def _offer(shell: Any, names: tuple[str, ...], parser: o.Parser) -> None:
    for name in names:
        shell.set_hook("complete_command", partial(options_of, parser), str_key=name)
