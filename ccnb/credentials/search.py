"""Where a credential is looked for, in which order, and what is said of those that are passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ccnb.credentials import copies, env_file, keychain, login
from ccnb.credentials.token import (
    API_KEY,
    BEARER,
    KEY,
    LOGIN,
    OAUTH_TOKEN,
    SETUP_TOKEN,
    VARIABLES,
    Credential,
    TokenRecord,
    masked,
)
from ccnb.errors import CredentialError, EnvFileError
from ccnb.redact import Secret

Found = Iterable[Credential | str]
"""Credentials, and a sentence on each that can't be used."""

_ENV_PATH = Path(env_file.NAME)
"""In the current folder, whichever that is when one looks."""

_RENEWED = " (`claude` renews it when it is next used)"
_MENDS = {"keychain": _RENEWED, "file": _RENEWED, ".env": " (`ccnb token` replaces it by a newer one)"}

_KINDS = {OAUTH_TOKEN: SETUP_TOKEN, API_KEY: KEY}
_NEXT = (
    "run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN, or try without an account: --api script:demo"
)


def find() -> Credential:
    """Return the credential for a run: of the environment, `.env`, the keychain, Claude Code's own file.

    The first that is good wins; what was passed over is among its warnings.

    Raises
    ------
    CredentialError
        There is none; the message names those that can't be used.
    """
    return _first((_environment, _env_file, keychain.look, _login_file))


def find_to_keep() -> Credential:
    """Return the credential that `.env` should hold: what it holds already is looked at last.

    Raises
    ------
    CredentialError
    """
    return _first((_environment, keychain.look, _login_file, _env_file))


def _first(sources: Sequence[Callable[[], Found]]) -> Credential:
    passed: dict[str, None] = {}
    for found in chain.from_iterable(source() for source in sources):
        if isinstance(found, str):
            passed[found] = None
        elif found.record.is_expired:
            passed[_expired(found.record)] = None
        else:
            warnings = (*passed, *_set_beside(found.record))
            return replace(found, record=replace(found.record, warnings=warnings))
    if not passed:
        raise CredentialError(
            f"no token found in the environment, .env, the keychain or {_file_name()}; {_NEXT}"
        )
    raise CredentialError(f"no token found that can be used: {'; '.join(passed)}; {_NEXT}")


def _environment() -> Found:
    return _named(os.environ.get, "environment")


def _env_file() -> Found:
    try:
        held = env_file.read(_ENV_PATH)
    except EnvFileError as error:
        return [error.message]
    return _named(held.get, env_file.NAME, f" in {env_file.NAME}")


def _named(get: Callable[[str], str | None], source: str, place: str = "") -> Iterator[Credential | str]:
    """Yield what the two variables hold."""
    for name in VARIABLES:
        value = (get(name) or "").strip()
        where = f"{name}{place}"
        if value and not login.is_token(value):
            yield f"{where} holds {len(value)} characters that are no token"
        elif value:
            record = TokenRecord(
                kind=_KINDS[name], variable=name, source=source, where=where, masked=masked(value)
            )
            yield _recognised(Credential(record, Secret(value)))


def _recognised(found: Credential) -> Credential:
    """Return a credential with what is known of it elsewhere, if it is the copy of a login."""
    own = found.record
    if found.variable != OAUTH_TOKEN:
        return found
    for other in _login_file():
        if isinstance(other, Credential) and other.value == found.value:
            return replace(found, record=replace(other.record, source=own.source, where=own.where))
    if (known := copies.recall(found.value)) is None:
        return found
    expires_at = login.time_of(1000 * known["expires_at_s"])
    record = replace(own, kind=LOGIN, plan=known.get("plan"), expires_at=expires_at)
    return replace(found, record=record)


def _login_file() -> Found:
    try:
        path = login.file()
        text = path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        return []
    except OSError as error:
        return [f"{path} can't be read ({error.strerror})"]
    found = login.parse(text, source="file", where=str(path))
    return [found] if found else []


def _expired(record: TokenRecord) -> str:
    when = f"expired {record.expiry}" if record.left_s <= 0 else f"expires {record.expiry}"
    return f"the {record.kind} in {record.where} {when}{_MENDS.get(record.source, '')}"


def _set_beside(chosen: TokenRecord) -> list[str]:
    """Return a sentence if another credential is set beside the chosen one: only one can be used."""
    others = [name for name in _variables_set() if name != chosen.variable]
    if not others:
        return []
    billed = ", which is billed by use" if chosen.kind == KEY else ""
    used = f"only the {chosen.kind} in {chosen.where} reaches the agent{billed}"
    verb = "are" if len(others) > 1 else "is"
    return [f"{' and '.join(others)} {verb} set too, but {used}; unset what isn't meant"]


def _variables_set() -> list[str]:
    """Return the variables that hold a credential, here or in `.env`."""
    try:
        held = env_file.read(_ENV_PATH)
    except EnvFileError:
        held = {}
    here = [name for name in (*VARIABLES, BEARER) if os.environ.get(name, "").strip()]
    return list(dict.fromkeys((*here, *(name for name in VARIABLES if held.get(name, "").strip()))))


def _file_name() -> str:
    try:
        return str(login.file())
    except RuntimeError:
        return "Claude Code's own file"
