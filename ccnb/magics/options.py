"""The options of the magics, as one table: parsed, completed and explained from here."""

from __future__ import annotations

import argparse
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from IPython.core.error import UsageError

from ccnb.errors import did_you_mean

_EXAMPLES = """examples:
  %%cc --api script:demo                      no account needed
  Write a word counter in POSIX sh, and try it.

  %%cc --workspace . --copy --check 'pytest -q' --out result
  Fix the failing test.

  %%cc --mode docker,podman --model haiku     one after the other: a comparison
  Write a haiku to haiku.txt.

  %%cc --continue 261124-063549-ddjan         in the same conversation and workspace
  Now add tests.

  %%cc --expand                               {name} is the notebook's variable
  Translate {poem} to French.

The body is the prompt, as it is. The result is the cell's value. While it runs, the interrupt stops it.
%config CcMagics.mode = "podman" sets a default; %config CcMagics lists what there is; CcMagics.max_usd caps
what is spent from this kernel on, the panel included. A prompt of one line: %cc [options] PROMPT."""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None


def _name(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"must be a variable's name, not {text!r}")
    return text


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of one width, wherever it is shown."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, with the nearest option that there is."""

    def __init__(self, magic: str, about: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=magic,
            description=about,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )

    @property
    def names(self) -> list[str]:
        """Return all options."""
        return [name for action in self._actions for name in action.option_strings]

    def takes_value(self, name: str) -> bool:
        """Return whether an option is followed by its value."""
        action = self._option_string_actions.get(name)
        return action is not None and action.nargs != 0

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options.

        Raises
        ------
        UsageError
        """
        values, rest = self.parse_known_args(list(words))
        if rest:
            self._refuse(rest[0])
        return values

    def error(self, message: str) -> NoReturn:
        """Complain in one line (argparse calls it)."""
        text = re.sub(r"^argument ([^:/]+)(/[^:]+)?: ", r"\1 ", message)
        raise UsageError(f"{text}; see {self.prog}?")

    def _refuse(self, word: str) -> NoReturn:
        if word.startswith("-"):
            name = word.partition("=")[0]
            near = did_you_mean(name, self.names) or f"; see {self.prog}?"
            raise UsageError(f"unknown option {name!r}{near}")
        raise UsageError(f"unexpected {word!r}: only options stand here; see {self.prog}?")


def words_of(line: str) -> list[str]:
    """Return the words of a magic's line, as a shell would take them.

    Raises
    ------
    UsageError
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the options can't be read ({error}); look at the quotes") from None


_WORD = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[^\s\"'])+)")


def split_prompt(line: str, parser: Parser) -> tuple[list[str], str]:
    """Return the options that a line begins with, and the rest of it as it is."""
    words: list[str] = []
    at = 0
    while (match := _WORD.match(line, at)) and match[1].startswith("-"):
        at = match.end()
        if match[1] == "--":
            break
        words += words_of(match[1])
        if parser.takes_value(words[-1]) and (value := _WORD.match(line, at)):
            words += words_of(value[1])
            at = value.end()
    return words, line[at:].strip()


def cc_parser(magic: str = "%%cc") -> Parser:
    """Return the parser of `%%cc` and `%cc`."""
    parser = Parser(magic, "Hand the cell's text to Claude Code, in an isolated place.", _EXAMPLES)
    where = parser.add_argument_group("where it runs")
    _text(
        where,
        "--mode",
        "-m",
        metavar="MODE",
        help="auto, sandbox, docker, podman, local, fly, all, or a list: docker,podman",
    )
    _text(where, "--workspace", "-w", metavar="DIR", help="the folder to work in; else a fresh one")
    _flag(where, "--copy", help="work on a copy of the workspace")
    _text(where, "--api", metavar="SOURCE", help="live, script:NAME-or-FILE, record:FILE, replay:FILE")
    _text(where, "--auth", help="how the credential gets to the agent")
    _list(where, "--network", metavar="WAY", help="open; none: no way out; or the only hosts: a.org,*.b.org")
    _text(where, "--image", help="a container image instead of the project's own")
    _text(where, "--isolation", metavar="auto|none", help="none: mode local without a wall")
    _text(where, "--sandbox", metavar="NAME", help="a lasting sandbox, made when it isn't there")
    _flag(where, "--keep", help="leave the place there at the end")
    where.add_argument("--keep-s", type=_number, metavar="S", help="seconds for which a kept place stays")
    _text(where, "--push-to", metavar="URL", help="a Git repository that a far place pushes its results to")
    _flag(where, "--reuse", help="show a finished run of the same task on the same files, if there is one")
    _text(where, "--continue", dest="continues", metavar="RUN", help="go on with an earlier run")
    agent = parser.add_argument_group("what the agent gets")
    _text(agent, "--model", help="the model's name or alias")
    _text(agent, "--setup", metavar="CMD", help="a shell command to run before the agent")
    _text(agent, "--check", metavar="CMD", help="a shell command to run after it: exit code 0 is a pass")
    _list(agent, "--env", "-e", metavar="NAME=VALUE", help="a variable for the place; repeat it for more")
    _list(agent, "--secret-env", metavar="NAME", help="a variable of this process, kept out of all output")
    _text(agent, "--permission-mode", metavar="MODE", help="Claude's own setting, such as acceptEdits")
    _list(agent, "--allowed-tools", metavar="TOOL", help="a tool that needs no permission")
    _list(agent, "--disallowed-tools", metavar="TOOL", help="a tool that is refused")
    _text(agent, "--system-prompt", metavar="TEXT", help="instead of Claude's own")
    _text(agent, "--append-system-prompt", metavar="TEXT", help="after Claude's own")
    _text(agent, "--resume", metavar="SESSION", help="one of Claude's sessions to go on with")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--timeout", dest="timeout_s", type=_number, metavar="S", help="seconds it may work")
    limits.add_argument("--max-turns", type=_whole, metavar="N", help="the most turns")
    limits.add_argument("--budget-usd", type=_number, metavar="USD", help="the most dollars")
    limits.add_argument("--budget-tokens", type=_whole, metavar="N", help="the most tokens")
    limits.add_argument("--memory-mb", type=_whole, metavar="MB", help="memory of the place")
    limits.add_argument("--cpus", type=_number, metavar="N", help="processors of the place")
    cell = parser.add_argument_group("in the notebook")
    cell.add_argument("--out", type=_name, metavar="NAME", help="a variable for the result, too")
    _flag(cell, "--bg", help="go on in the background; the value is the live run")
    _flag(cell, "--quiet", "-q", help="show nothing while it runs")
    _flag(cell, "--expand", help="put the notebook's variables where {name} stands")
    return parser


def _runs_parser() -> Parser:
    parser = Parser("%cc_runs", "List the runs that are kept, the latest first.")
    parser.add_argument("--limit", type=_whole, default=20, metavar="N", help="the most to list")
    for name in ("mode", "outcome", "state"):
        _text(parser, f"--{name}", help=f"only those with this {name}")
    return parser


def _sweep_parser() -> Parser:
    parser = Parser("%cc_sweep", "Remove the places that no run needs any more.")
    _text(parser, "--older-than", metavar="TIME", help="give up runs that are older too: 2h, 7d")
    return parser


def _token_parser() -> Parser:
    about = "Show which token is there, what kind it is and how long it lasts; never its value."
    parser = Parser("%cc_token", about)
    _flag(parser, "--reveal", help="refused: what a notebook shows is saved with it")
    return parser


def _run_parser(magic: str, about: str) -> Parser:
    parser = Parser(magic, about)
    parser.add_argument("run", metavar="RUN", help="the run's id, or a part of it that only one has")
    return parser


def _text(group: Any, *names: str, **more: Any) -> None:
    group.add_argument(*names, **more)


def _flag(group: Any, *names: str, **more: Any) -> None:
    group.add_argument(*names, action="store_true", **more)


def _list(group: Any, *names: str, **more: Any) -> None:
    group.add_argument(*names, action="append", **more)


LINES = {
    "cc_modes": Parser("%cc_modes", "Show the modes: which are ready, and why the others aren't."),
    "cc_runs": _runs_parser(),
    "cc_attach": _run_parser("%cc_attach", "Follow a run to its result; the interrupt leaves it going on."),
    "cc_stop": _run_parser("%cc_stop", "End a run and return its result."),
    "cc_sweep": _sweep_parser(),
    "cc_token": _token_parser(),
}
"""The line magics and what they take."""
