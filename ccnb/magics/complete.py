"""What Tab offers in a magic's line."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ccnb.errors import CcnbError
from ccnb.magics.options import Parser

_ALIASES = ("haiku", "sonnet", "opus")
_RECENT = 30


def options_of(parser: Parser, shell: Any, event: Any) -> list[str]:  # noqa: ARG001 - IPython gives it
    """Return what may stand where the cursor is (IPython's protocol of completers).

    Parameters
    ----------
    event
        Has `text_until_cursor` and `symbol`, the word that is being written.
    """
    if "\n" in event.text_until_cursor:
        return []
    words = event.text_until_cursor.split()
    begun = words.pop() if words and not event.text_until_cursor.endswith(" ") else ""
    values = _VALUES_OF_RUNS if parser.prog == "%cc_runs" else _VALUES
    known = values.get(words[-1]) if words else None
    if known is not None:
        return _fitting(known(begun), begun, event.symbol)
    if words and parser.takes_value(words[-1]):
        return []
    offered = parser.names if not _takes_run(parser) else [*parser.names, *_run_ids()]
    return _fitting(offered, begun, event.symbol)


def _takes_run(parser: Parser) -> bool:
    return any(action.dest == "run" for action in parser._actions)  # noqa: SLF001 - argparse has no other way


def _fitting(values: Sequence[str], begun: str, symbol: str) -> list[str]:
    """Return the values that go on from what was begun; IPython replaces the symbol, its last part, alone."""
    head = begun[: len(begun) - len(symbol)] if begun.endswith(symbol) else ""
    return [v.removeprefix(head) for v in values if v.startswith(begun)]


def _modes(begun: str) -> list[str]:
    from ccnb import mode as modes

    given, comma, _ = begun.rpartition(",")
    names = [n for n in modes.names() if n not in given.split(",")]
    return [given + comma + n for n in names] if comma else ["auto", "all", *names]


def _models(_: str) -> list[str]:
    seen = [row.record.conditions.get("model") for row in _runs() if row.record]
    return list(dict.fromkeys([*_ALIASES, *(str(model) for model in seen if model)]))


def _run_ids(_: str = "") -> list[str]:
    return [row.run_id for row in _runs()]


def _runs() -> list[Any]:
    from ccnb.store import Store

    try:
        return Store().runs(limit=_RECENT)
    except CcnbError:
        return []


def _folders(begun: str) -> list[str]:
    return [f"{path}/" for path in _paths(begun) if Path(path).expanduser().is_dir()]


def _paths(begun: str) -> list[str]:
    home = str(Path.home())
    start = begun.replace("~", home, 1) if begun[:1] == "~" else begun
    found = sorted(glob.glob(f"{glob.escape(start)}*"))  # noqa: PTH207 - Path.glob changes how a path is written
    return [path.replace(home, "~", 1) if begun[:1] == "~" else path for path in found]


def _apis(begun: str) -> list[str]:
    source, colon, rest = begun.partition(":")
    files = [f"{source}:{path}" for path in _paths(rest)] if colon else []
    return ["live", "script:demo", "script:", "record:", "replay:", *files]


def _of(module: str, name: str) -> Callable[[str], list[str]]:
    def known(_: str) -> list[str]:
        return list(getattr(import_module(module), name))

    return known


def _mode_names(_: str) -> list[str]:
    from ccnb import mode as modes

    return modes.names()


_VALUES: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(("--mode", "-m"), _modes),
    **dict.fromkeys(("--workspace", "-w"), _folders),
    "--model": _models,
    "--api": _apis,
    "--continue": _run_ids,
    "--auth": _of("ccnb.spec", "AUTHS"),
    "--network": lambda _: ["none", "open"],
    "--isolation": _of("ccnb.spec", "ISOLATIONS"),
    "--permission-mode": _of("ccnb.spec", "PERMISSION_MODES"),
}
_VALUES_OF_RUNS: dict[str, Callable[[str], list[str]]] = {
    "--mode": _mode_names,
    "--outcome": _of("ccnb.results", "OUTCOMES"),
    "--state": _of("ccnb.results", "STATES"),
}
