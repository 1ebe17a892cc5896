"""Look at the token, hand it out, keep it in `.env`: what `token` does."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import typer

from ccnb import credentials, render
from ccnb.cli.output import console, print_json, say
from ccnb.credentials import Credential, env_file
from ccnb.credentials.login import is_token
from ccnb.credentials.token import masked
from ccnb.errors import SpecError
from ccnb.redact import Secret


def token(*, token_only: bool, export: bool, as_json: bool) -> int:
    """Print the token that a run would use in the form that was asked for.

    The summary alone also keeps it in `.env`; only the two that are asked for the value print it.
    """
    if token_only + export + as_json > 1:
        raise SpecError("--token-only, --export and --json print different things; choose one")
    if as_json:
        print_json(credentials.find().record.to_dict())
    elif token_only or export:
        _hand_out(credentials.find(), export=export)
    else:
        found = credentials.find_to_keep()
        console().print(render.token_table(found.record.to_dict()))
        _keep(found, Path(env_file.NAME))
    return 0


def _hand_out(found: Credential, *, export: bool) -> None:
    for warning in found.record.warnings:
        say(f"warning: {warning}", stderr=True)
    credentials.remember(found)
    value = found.value.reveal()
    sys.stdout.write(f"export {found.variable}={shlex.quote(value)}\n" if export else f"{value}\n")
    sys.stdout.flush()


def _keep(found: Credential, path: Path) -> None:
    """Write the token into `.env`, unless somebody at the terminal wants to keep the one that is there."""
    name, before = found.variable, env_file.read(path).get(found.variable, "")
    changes = before not in ("", found.value.reveal())
    if changes and not _may_replace(before):
        used = "" if found.record.source == "environment" else ", which runs in this folder use"
        say(f"{path} stays as it is, with another {name}{used}")
    elif env_file.put(path, name, found.value):
        credentials.remember(found)
        say(f"{path} now has {name}" + (f", in place of {masked(before)}" if changes else ""))
    else:
        say(f"{path} has it already")
    if env_file.is_ignored(path) is False:
        say(
            f"warning: git does not ignore {path}, which holds a secret; add a line {path} to .gitignore",
            stderr=True,
        )


def _may_replace(before: str) -> bool:
    """Ask whoever sits at the terminal before a token is overwritten that can't be had again."""
    asked = sys.stdin.isatty() and sys.stdout.isatty()
    if not asked or not is_token(before) or credentials.recall(Secret(before)):
        return True
    # A setup-token is shown once, when it is made.
    return typer.confirm(
        f"{env_file.NAME} holds another token ({masked(before)}). Replace it?", default=False
    )
