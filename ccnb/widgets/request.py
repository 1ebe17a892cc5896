"""From what stands in the panel to the calls that it makes, and to how these are written in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccnb.errors import SpecError
from ccnb.runner.api import settled
from ccnb.runner.values import mode_names, network
from ccnb.spec import RunSpec
from ccnb.store import Store

_NUMBERS = {"timeout_s": float, "max_turns": int, "budget_usd": float, "budget_tokens": int}
_WORDS = ("model", "workspace", "api", "auth", "check")
MOST_REPEATS = 100


def options_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a form asks for; what is left empty is not among them.

    Raises
    ------
    SpecError
        Something in it is no number.
    """
    options: dict[str, Any] = {"mode": _text(form, "mode") or "auto"}
    options |= {name: _text(form, name) for name in _WORDS if _text(form, name)}
    if form.get("copy"):
        options["copy"] = True
    if hosts := _text(form, "network"):
        options["network"] = network([hosts])
    for name, kind in _NUMBERS.items():
        if text := _text(form, name):
            options[name] = _number(name, text, kind)
    return options


def repeats_of(form: Mapping[str, Any]) -> int:
    """Return how often it is to be run.

    Raises
    ------
    SpecError
    """
    count = int(_number("repeats", _text(form, "repeats") or "1", int))
    if not 1 <= count <= MOST_REPEATS:
        raise SpecError(f"repeats must be from 1 to {MOST_REPEATS}, not {count}")
    return count


def modes_of(form: Mapping[str, Any]) -> list[str]:
    """Return the modes that are ticked.

    Raises
    ------
    SpecError
    """
    ticked = form.get("modes")
    modes = [str(mode) for mode in ticked] if isinstance(ticked, list) else []
    if not modes:
        raise SpecError("no mode is ticked; tick those that are to be compared")
    return modes


def check(prompt: str, options: Mapping[str, Any]) -> RunSpec:
    """Return the spec of the run that can be made of it, before anything starts.

    Raises
    ------
    CcnbError
    """
    mode_names(str(options["mode"]))
    return settled(RunSpec.make(prompt, options), Store())[0]


def python_of(prompt: str, options: Mapping[str, Any], repeats: int) -> str:
    """Return the call as Python, ready to copy.

    >>> print(python_of("Go.", {"mode": "local"}, 1))
    import ccnb
    <BLANKLINE>
    result = ccnb.run(
        'Go.',
        mode='local',
    )
    """
    lines = [repr(prompt), *(f"{name}={value!r}" for name, value in options.items())]
    if repeats == 1:
        inner = "".join(f"    {line},\n" for line in lines)
        return f"import ccnb\n\nresult = ccnb.run(\n{inner})"
    inner = "".join(f"        {line},\n" for line in lines)
    return f"import ccnb\n\nresults = [\n    ccnb.run(\n{inner}    )\n    for _ in range({repeats})\n]"


def comparing_python_of(prompt: str, options: Mapping[str, Any], modes: Sequence[str], repeats: int) -> str:
    """Return the call that compares modes as Python, ready to copy.

    >>> print(comparing_python_of("Go.", {"mode": "auto"}, ["docker", "local"], 3))
    import ccnb
    <BLANKLINE>
    comparison = ccnb.compare(
        'Go.',
        modes=['docker', 'local'],
        repeats=3,
    )
    comparison
    """
    values = {"modes": list(modes), "repeats": repeats}
    values |= {name: value for name, value in options.items() if name != "mode"}
    lines = [repr(prompt), *(f"{name}={value!r}" for name, value in values.items())]
    inner = "".join(f"    {line},\n" for line in lines)
    return f"import ccnb\n\ncomparison = ccnb.compare(\n{inner})\ncomparison"


def _text(form: Mapping[str, Any], name: str) -> str:
    return str(form.get(name) or "").strip()


def _number(name: str, text: str, kind: type[float | int]) -> float | int:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise SpecError(f"{name} must be {what}, not {text!r}") from None
