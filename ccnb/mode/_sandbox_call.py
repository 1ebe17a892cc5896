"""Calls of Docker's two programs for sandboxes, and how what they print is understood.

Neither promises anything about its output. So every call has a limit, no terminal and no input, JSON is
looked for behind whatever else is printed, and what isn't known is shown to the person as it is.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ccnb.errors import EngineError, ModeUnavailableError

_LIMIT = "CCNB_SANDBOX_LIMIT_S"
_LIMIT_S = 15.0
"""With many frozen sandboxes the real ones take as long, or never answer."""
_SHOWN = 300
"""Characters of what a program printed that a message takes."""
_NOT_THERE = ("no sandbox found", "not found", "no such")


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    code: int
    output: bytes
    """Standard output; where asked for, with the errors in it."""
    errors: str = ""

    @property
    def text(self) -> str:
        """Return all of it on one line, cut to a length that a message bears."""
        said = " ".join(f"{self.errors} {self.output.decode(errors='replace')}".split())
        return said if len(said) <= _SHOWN else "..." + said[-_SHOWN:]


NOT_SIGNED_IN = "you aren't signed in to Docker, which {name} needs; run `sbx login`"

_NO_VIRTUALISATION = (
    "this machine has no hardware virtualisation that {name} can use; turn it on in the firmware (on Linux "
    "/dev/kvm must be yours to open), or use mode docker"
)

_TROUBLE = (
    (("not authenticated to docker", "no valid user session", "not signed in", "sbx login"), NOT_SIGNED_IN),
    (
        ("policy has not been initialized", "policy init"),
        "{name} has no network policy yet; run `sbx policy init balanced`",
    ),
    (
        ("/dev/kvm", "virtualization", "virtualisation", "hypervisor"),
        _NO_VIRTUALISATION,
    ),
    (
        ("experimental features", "beta features"),
        "Docker Desktop's administrator has switched sandboxes off; ask for beta features, or install sbx",
    ),
    (
        (
            "cannot connect",
            "connection refused",
            "closed pipe",
            "daemon is not running",
            "is the docker daemon",
        ),
        "{name}'s daemon doesn't answer; {restart}",
    ),
)
"""Parts of what the programs print when something that a person can mend is amiss."""


def known_trouble(said: Answer, name: str, restart: str) -> str | None:
    """Return the sentence for trouble that has been seen before; `None` for any other."""
    text = said.text.lower()
    for signs, sentence in _TROUBLE:
        if any(sign in text for sign in signs):
            return sentence.format(name=name, restart=restart)
    return None


def look_s() -> float:
    """Return how long a look may take: what CCNB_SANDBOX_LIMIT_S says, or 15 s.

    Raises
    ------
    ModeUnavailableError
    """
    named = os.environ.get(_LIMIT)
    if not named:
        return _LIMIT_S
    with suppress(ValueError):
        if 0 < float(named) < math.inf:
            return float(named)
    raise ModeUnavailableError(f"{_LIMIT} is {named!r}, which is no time; give it seconds above zero")


def run_program(
    argv: Sequence[str],
    limit_s: float,
    restart: str,
    *,
    answer: bytes = b"",
    merged: bool = False,
    held: int | None = None,
) -> Answer:
    """Run a program in a session of its own, so that its helpers end with it at the limit.

    It goes on when we are killed. An open file `held` stays open for as long as it does.

    Raises
    ------
    EngineError
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if answer else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if held is None else (held,),
        )
    except OSError as error:
        raise EngineError(f"{argv[0]} can't be run ({error.strerror}); run `ccnb doctor`") from None
    try:
        output, errors = process.communicate(answer or None, timeout=limit_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        what = " ".join(argv[:3] if argv[0] == "docker" else argv[:2])
        raise EngineError(f"`{what}` has not answered within {limit_s:g} s; {restart}") from None
    return Answer(process.returncode, output, (errors or b"").decode(errors="replace"))


def first_json(output: bytes) -> dict[str, Any] | None:
    """Return the JSON object in what a program printed; a banner may come before it, and words after it."""
    text = output.decode(errors="replace")
    for begin in (match.start() for match in re.finditer(r"\{", text)):
        with suppress(ValueError):
            value, _ = json.JSONDecoder().raw_decode(text, begin)
            return value if isinstance(value, dict) else None
    return None


def beginning(output: bytes) -> str:
    """Return the first of what a program printed, on one line, cut to a length that a message bears."""
    said = " ".join(output.decode(errors="replace").split())
    return (said if len(said) <= _SHOWN else said[:_SHOWN] + "...") or "nothing was printed"


def says_not_there(said: Answer) -> bool:
    """Return whether a program said that there is no such sandbox."""
    return any(sign in said.text.lower() for sign in _NOT_THERE)
