"""What people type, at a terminal and in a notebook, as values."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

from ccnb import mode as modes
from ccnb.errors import ModeUnavailableError, SpecError
from ccnb.redact import Secret
from ccnb.runner.ready import readiness
from ccnb.spec import RunSpec

_RENAMED = {"timeout_s": "timeout", "continues": "continue"}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")


def seconds(text: str, option: str) -> float:
    """Return a time such as `90s`, `12h` or `7d` in seconds.

    >>> seconds("7d", "--older-than"), seconds("90", "--older-than")
    (604800.0, 90.0)

    Raises
    ------
    SpecError
    """
    match = _PIECE.fullmatch(text.strip())
    if match is None:
        raise SpecError(f"{option} must be a time such as 90s, 30m, 12h or 7d, not {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def environment(pairs: Sequence[str], secret_names: Sequence[str]) -> dict[str, str | Secret]:
    """Return the variables for the place: values from the command line, secrets from our environment.

    Raises
    ------
    SpecError
    """
    env: dict[str, str | Secret] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SpecError(f"--env takes NAME=VALUE, not {pair!r}; for a secret use --secret-env NAME")
        env[name] = value
    for name in secret_names:
        if "=" in name:
            # The value may be a secret, so the message doesn't have it.
            raise SpecError("--secret-env takes a name alone; export the variable, then name it")
        if name not in os.environ:
            raise SpecError(f"--secret-env {name}: no such variable in your environment; export it first")
        env[name] = Secret(os.environ[name])
    return env


def network(given: Sequence[str]) -> str | list[str]:
    """Return the network policy that is meant by words and comma lists of hosts."""
    words = [word.strip() for text in given for word in text.split(",")]
    return words[0] if len(words) == 1 else words


def mode_names(text: str) -> list[str]:
    """Return the modes that are meant by a name, a comma list, or `all` (every one that is ready).

    Raises
    ------
    SpecError
    ModeUnavailableError
        `all` was asked for and none is ready.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise SpecError("--mode is empty; leave it out, or see `ccnb modes`")
    if "all" in names:
        found = readiness()
        if not any(m.ready for m in found):
            raise ModeUnavailableError("no mode is ready; `ccnb doctor` says what to do")
        return [m.mode for m in found if m.ready]
    for name in names:
        if name != "auto":
            modes.get(name)
    return names


def check_together(modes: Sequence[str], *, workspace: str | None, copy: bool) -> None:
    """See that several modes don't work in one folder.

    Raises
    ------
    SpecError
    """
    if len(modes) > 1 and workspace is not None and not copy:
        raise SpecError("several modes in one workspace would find each other's files; add --copy")


def with_options(message: str) -> str:
    """Write the name of a spec's field, with which a message begins, as the option that sets it.

    >>> with_options("max_turns must be a whole number above zero, not 0")
    '--max-turns must be a whole number above zero, not 0'
    """
    match = re.match(r"(\w+)(=True)?\b", message)
    names = {field.name for field in dataclasses.fields(RunSpec)} - {"prompt"}
    if match is None or match[1] not in names:
        return message
    name = _RENAMED.get(match[1], match[1])
    return f"--{name.replace('_', '-')}{message[match.end() :]}"
