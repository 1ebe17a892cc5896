"""What people type, as values."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from ccnb import mode as modes
from ccnb.errors import ModeUnavailableError, SpecError
from ccnb.redact import Secret
from ccnb.runner.api import readiness
from ccnb.spec import TEST_PROMPT

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")


def prompt_of(given: str | None) -> str:
    """Return the prompt: the built-in one for none, standard input for `-`."""
    if given is None:
        return TEST_PROMPT
    return sys.stdin.read() if given == "-" else given


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
