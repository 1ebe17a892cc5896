"""What Claude Code keeps of a login: a JSON document, in a file or in the macOS keychain."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccnb.credentials.token import LOGIN, OAUTH_TOKEN, Credential, TokenRecord, masked
from ccnb.redact import MASK, Secret

_SERVICE = "Claude Code-credentials"
_NO_USER = "claude-code-user"
"""The account under which Claude Code keeps its item when it can't tell who the user is."""


def file() -> Path:
    """Return the path of `.credentials.json`: in `CLAUDE_CONFIG_DIR`, else in `~/.claude`.

    Raises
    ------
    RuntimeError
        There is no home folder.
    """
    named = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(named) if named else Path("~/.claude").expanduser()) / ".credentials.json"


def keychain_items() -> tuple[tuple[str, str], ...]:
    """Return the service and the account of each item in which a login may lie.

    A configuration folder of its own has an item of its own, named after a digest of the folder. The
    usual item is then not looked at: it may be another account's.
    """
    named = os.environ.get("CLAUDE_CONFIG_DIR")
    services = [f"{_SERVICE}-{_digest(path)}" for path in _spellings(named)] if named else [_SERVICE]
    accounts = dict.fromkeys((os.environ.get("USER") or _user(), _NO_USER))
    return tuple((service, account) for service in services for account in accounts if account)


def parse(text: str, *, source: str, where: str) -> Credential | str | None:
    """Return the login in a document, `None` where there is none, a sentence where it can't be read.

    Nothing is raised: a traceback may show variables, and here they hold tokens.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return f"{where} holds no JSON"
    login = document.get("claudeAiOauth") if isinstance(document, dict) else None
    if login is None and isinstance(document, dict):
        # Claude Code keeps what it knows of MCP servers in such documents too.
        return None
    if not isinstance(login, dict):
        return f"{where} holds no login as Claude Code writes it"
    value = login.get("accessToken")
    if not isinstance(value, str) or not is_token(value):
        return f"{where} holds a login without a token"
    return Credential(_record(login, value, source, where), Secret(value))


def is_token(value: str) -> bool:
    """Return whether a value can be sent as a token: long enough, and one word of plain characters."""
    plain = value.isascii() and value.isprintable() and " " not in value
    return plain and len(value) >= 8 and MASK not in value and value not in MASK


def _record(login: Mapping[str, Any], value: str, source: str, where: str) -> TokenRecord:
    scopes = login.get("scopes")
    return TokenRecord(
        kind=LOGIN,
        variable=OAUTH_TOKEN,
        source=source,
        where=where,
        masked=masked(value),
        plan=_text(login.get("subscriptionType")),
        scopes=tuple(s for s in scopes if isinstance(s, str)) if isinstance(scopes, list) else (),
        rate_limit_tier=_text(login.get("rateLimitTier")),
        expires_at=time_of(login.get("expiresAt")),
    )


def time_of(milliseconds: Any) -> datetime | None:
    """Return a time as JavaScript counts it; `None` for what is none."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _spellings(folder: str) -> list[str]:
    """Return the ways in which a folder may have been written when Claude Code made its item."""
    return list(dict.fromkeys((folder, str(Path(folder).expanduser().absolute()))))


def _digest(folder: str) -> str:
    return hashlib.sha256(unicodedata.normalize("NFC", folder).encode(errors="replace")).hexdigest()[:8]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
