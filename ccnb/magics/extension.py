"""How the magics get into IPython, and out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from IPython.core.magic import no_var_expand

from ccnb.magics import options as o
from ccnb.magics.commands import CcMagics
from ccnb.magics.complete import options_of

_CALL = "await get_ipython().magics_manager.registry['CcMagics']"


def load(shell: Any) -> None:
    """Give the magics to a shell; twice is harmless."""
    unload(shell)
    cell = _free_name(shell)
    parser = o.cc_parser(f"%%{cell}")
    magics = CcMagics(shell, parser)
    shell.register_magics(magics)
    _register(shell, _documented(magics.cc, parser), ("line", "cell"), cell)
    _offer(shell, (f"%{cell}", f"%%{cell}"), parser)
    for name, one in o.LINES.items():
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
    """Turns a cell of `%%cc`, or of `%cc_attach` alone, into an awaited call: then the kernel can answer.

    A `%%cc` inside of another magic's cell (`%%time`) stays as it is: there nothing can be awaited.
    """

    def __init__(self, shell: Any, name: str) -> None:
        self._shell = shell
        self._head = f"%%{name}"
        self._in_cell = False
        self._attaches = _is_ours(shell.magics_manager.magics["line"]["cc_attach"])
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
        if self._in_cell or not self._shell.autoawait:
            return lines
        body = "".join(lines[1:])
        if name == self._head:
            return [f"{_CALL}.acc({options!r}, {body!r})\n"]
        if name == "%cc_attach" and self._attaches and not body.strip():
            return [f"{_CALL}.acc_attach({options!r})\n"]
        return lines

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
