"""Copies of a login that were given out, so that they are known again: a token doesn't tell its expiry.

Without this, the copy in a `.env` would pass for a token that lasts, long after it has expired.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from ccnb.credentials.token import Credential
from ccnb.redact import Secret

_NAME = "copies.json"
_KEPT_S = 90 * 86_400
"""How long after its expiry a copy is still known for what it is."""


def remember(given: Credential) -> None:
    """Note that a login was given out; its value is not in the note. A folder that takes none is no error."""
    expires_at = given.record.expires_at
    if expires_at is None:
        return
    facts = {"expires_at_s": expires_at.timestamp(), "plan": given.record.plan}
    lasting = {key: value for key, value in _notes().items() if value["expires_at_s"] > time.time() - _KEPT_S}
    text = json.dumps(lasting | {_digest(given.value): facts})
    with suppress(OSError, RuntimeError):
        path = _path()
        scratch = path.with_suffix(f".{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch.touch(mode=0o600)
        scratch.write_text(text)
        scratch.replace(path)


def recall(value: Secret) -> Mapping[str, Any] | None:
    """Return what is known of a copy: `expires_at_s` (unix seconds) and `plan`; `None` if it is none."""
    return _notes().get(_digest(value))


def _notes() -> dict[str, Any]:
    try:
        notes = json.loads(_path().read_text())
    except (OSError, ValueError, RuntimeError):
        return {}
    known = notes.items() if isinstance(notes, dict) else ()
    return {
        key: n for key, n in known if isinstance(n, dict) and isinstance(n.get("expires_at_s"), int | float)
    }


def _path() -> Path:
    """Return the file: beside the store, which it outlives."""
    named = os.environ.get("CCNB_HOME")
    return (Path(named).expanduser() if named else platformdirs.user_data_path("ccnb")) / _NAME


def _digest(value: Secret) -> str:
    return hashlib.sha256(value.reveal().encode()).hexdigest()[:32]
