"""From what stands in a cell to what is to be run."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from IPython.core.error import UsageError

from ccnb.errors import did_you_mean
from ccnb.runner.api import settled
from ccnb.runner.values import check_together, environment, mode_names, network
from ccnb.spec import RunSpec
from ccnb.store import Store

_OURS = ("mode", "out", "bg", "quiet", "expand", "env", "secret_env", "reuse")
_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be run, and what becomes of its result."""

    prompt: str
    modes: Sequence[str]
    """By name: none of them is `auto`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of `ccnb.start`, without the mode."""
    several: bool = False
    """Whether modes are to be compared, be it one."""
    out: str | None = None
    in_background: bool = False
    quiet: bool = False
    reuse: bool = False
    """Whether a finished run of the same task will do."""


def make_request(
    given: Namespace, prompt: str, defaults: Mapping[str, Any], variables: Mapping[str, Any]
) -> Request:
    """Return what a cell asks for. All of it is checked: nothing is started by a cell with a mistake.

    Raises
    ------
    UsageError, CcnbError
    """
    # By identity: 0 is a value, though a bad one.
    values = {n: v for n, v in vars(given).items() if v is not None and v is not False}
    if given.expand:
        prompt = expand(prompt, variables)
        values = {n: expand(v, variables) if isinstance(v, str) else v for n, v in values.items()}
    options = {name: value for name, value in values.items() if name not in _OURS}
    # Where a run goes on with another, what isn't said is the other's, not a default.
    left = ("mode", "workspace", "model") if given.continues else ()
    options = {n: v for n, v in defaults.items() if v is not None and n != "mode" and n not in left} | options
    if isinstance(listed := options.get("network"), str | list):
        options["network"] = network([listed] if isinstance(listed, str) else listed)
    if env := environment(given.env or [], given.secret_env or []):
        options["env"] = env
    mode = values.get("mode") or ("auto" if given.continues else _default_mode(defaults))
    modes = mode_names(mode)
    check_together(modes, workspace=options.get("workspace"), copy=bool(options.get("copy")))
    if len(modes) > 1 and given.continues:
        raise UsageError("--continue goes on in one run's workspace, so in one mode; name one")
    specs = [settled(RunSpec.make(prompt, {**options, "mode": name}), Store())[0] for name in modes]
    return Request(
        prompt=prompt,
        modes=list(dict.fromkeys(spec.mode for spec in specs)),
        options=options,
        several=mode == "all" or "," in mode,
        out=given.out,
        in_background=given.bg,
        quiet=given.quiet,
        reuse=given.reuse,
    )


def expand(text: str, variables: Mapping[str, Any]) -> str:
    """Put variables where their names stand in braces; all other braces stay.

    >>> expand("{a} and {'b': 1}", {"a": 3})
    "3 and {'b': 1}"

    Raises
    ------
    UsageError
        There is no such variable.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables:
            near = did_you_mean(name, [n for n in variables if not n.startswith("_")])
            raise UsageError(f"--expand: there is no variable {name!r}{near or '; set it first'}")
        return str(variables[name])

    return _HOLE.sub(value, text)


def _default_mode(defaults: Mapping[str, Any]) -> str:
    return str(defaults.get("mode") or os.environ.get("CCNB_MODE") or "auto")
