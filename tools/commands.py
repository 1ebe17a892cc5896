"""The page of the command line, made of the commands as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from ccnb.cli.app import app
from ccnb.cli.output import EXIT_CODES

_HEAD = (
    "# Command line\n\n"
    "`python -m tools.docs` makes this page of the commands themselves; `ccnb COMMAND --help` says the same "
    "in a terminal. Every command that prints data has `--json`; `ccnb --version` prints the version.\n"
)


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for name, command in commands():
        parts += [f"## {name}\n", f"{_plain(command.help)}\n", f"`{_usage(name, command)}`\n"]
        parts += _tables(command)
        if examples := _examples(command):
            parts += ["For example:\n", "\n".join(examples) + "\n"]
    parts += ["## Exit codes\n", "| Exit code | Meaning |\n|---|---|"]
    parts += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(parts) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command by the words that call it; a group comes before what is in it."""
    yield from _below("ccnb", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if not inner or (command.invoke_without_command and name != "ccnb"):
        yield name, command
    for word, other in inner.items():
        yield from _below(f"{name} {word}", other)


def _usage(name: str, command: Any) -> str:
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    options = ["[OPTIONS]"] if len(command.params) > len(arguments) else []
    return " ".join([name, *arguments, *options])


def _argument(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def _tables(command: Any) -> list[str]:
    """Return a table for each panel of a command's options; its arguments stand first."""
    panels: dict[str, list[str]] = {}
    for one in command.params:
        is_argument = one.param_type_name == "argument"
        if is_argument and not one.help:
            continue
        panel = "Argument" if is_argument else one.rich_help_panel or "Option"
        shown = _argument(one) if is_argument else _option(one)
        panels.setdefault(panel, []).append(f"| {_code(shown)} | {_cell(one.help or '')}{_default(one)} |")
    return [f"| {panel} | |\n|---|---|\n" + "\n".join(rows) + "\n" for panel, rows in panels.items()]


def _option(option: Any) -> str:
    names = ", ".join(sorted(option.opts, key=len, reverse=True))
    word = names.partition(",")[0].removeprefix("--").replace("-", "_").upper()
    return names if option.is_flag else f"{names} {option.metavar or word}"


def _default(parameter: Any) -> str:
    told = []
    if getattr(parameter, "default", None) not in (None, False, ()) and not callable(parameter.default):
        told.append(f"`{parameter.default}` if not given")
    if parameter.envvar:
        told.append(f"or the variable `{parameter.envvar}`")
    return f" ({', '.join(told)})" if told else ""


def _examples(command: Any) -> list[str]:
    """Return a command's examples as a list; what stands in brackets behind one is a remark."""
    lines = [line.strip() for line in (command.epilog or "").split("\n\n")[1:-1]]
    split = [line.partition("   (") for line in lines]
    return [f"- `{line}`{' (' + remark if remark else ''}" for line, _, remark in split]


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("*", "\\*")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
