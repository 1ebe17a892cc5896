"""Where output goes, in which form, and with which exit code the command ends."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any, NoReturn

from rich.console import Console

from ccnb.errors import CcnbError, SpecError
from ccnb.render import one_line
from ccnb.results import RunRecord
from ccnb.runner.handles import RunResult
from ccnb.runner.values import with_options

EXIT_CODES = {
    0: "success, and the check passed if there was one",
    1: "the agent failed, or the check did",
    2: "bad input",
    3: "mode, engine, image or store not available",
    4: "no credential, or one that the API refuses",
    5: "the place was lost",
    130: "interrupted",
}

_BY_OUTCOME = {"success": 0, "infrastructure": 3, "lost": 5, "cancelled": 130}
_REFUSED = ("authentication_failed", "not_logged_in")
_WIDTH_OF_FILES = 120


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as it is: no markup, nothing guessed into colours."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _WIDTH_OF_FILES
    return made


def say(text: str, *, stderr: bool = False) -> None:
    """Print a line of our own, on one line however narrow the terminal is."""
    console(stderr=stderr).print(one_line(text), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a JSON value on a line of standard output; ASCII only, so any terminal and pipe takes it."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


def result_json(result: RunResult) -> dict[str, Any]:
    """Return a finished run as a JSON value: its record, and where its files lie."""
    values = {f.name: getattr(result, f.name) for f in dataclasses.fields(RunRecord)}
    paths = {
        "folder": str(result.folder.path),
        "workspace": str(result.workspace),
        "patch": str(result.folder.patch),
    }
    return RunRecord(**values).to_dict() | {"paths": paths}


def exit_code(record: RunRecord) -> int:
    """Return the exit code for how a run ended."""
    if record.outcome == "success" and record.check is not None and not record.check.passed:
        return 1
    if record.error is not None and record.error.kind in _REFUSED:
        return 4
    return _BY_OUTCOME.get(record.outcome, 1)


def complain(error: CcnbError) -> int:
    """Print an error's sentence to standard error; return its exit code."""
    message = with_options(error.message) if isinstance(error, SpecError) else error.message
    say(f"error: {message}", stderr=True)
    return error.exit_code


def complain_of_usage(error: Any) -> int:
    """Print what is wrong with the command line."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "ccnb"
    message = str(error.format_message()).rstrip(".")
    say(f"error: {message} (see `{path} --help`)", stderr=True)
    return 2


def leave(code: int) -> NoReturn:
    """End the process at once, as a kill would: runs go on in their places and can be attached to.

    The usual way out would first tear down the threads that still follow them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
