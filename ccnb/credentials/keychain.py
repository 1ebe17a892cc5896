"""The system's keychain, asked for a login: it may ask the person first, or never answer."""

from __future__ import annotations

import threading
import time

from ccnb._interrupts import Flag
from ccnb.credentials import login
from ccnb.credentials.token import Credential

LIMIT_S = 15.0
"""How long we wait for it: long enough for a person to agree in a dialog."""
_KEPT_S = 10.0
"""How long an answer is used again, so that one start of a run asks once."""

_lock = threading.Lock()
_latest: _Look | None = None


class _Look:
    """One look at some items, on a thread of its own: what hangs in there holds up nobody's exit."""

    def __init__(self, items: tuple[tuple[str, str], ...]) -> None:
        self.items = items
        self.found: list[Credential | str] = []
        self.begun_at = self.ended_at = time.monotonic()
        self.done = Flag()
        threading.Thread(target=self._look, name="ccnb-keychain", daemon=True).start()

    @property
    def is_fresh(self) -> bool:
        """Return whether it goes on, and a second one would only ask the person twice, or has just ended."""
        return not self.done.is_set() or time.monotonic() - self.ended_at < _KEPT_S

    def _look(self) -> None:
        try:
            for service, account in self.items:
                self.found += _ask(service, account)
        finally:
            self.ended_at = time.monotonic()
            self.done.set()


def look(limit_s: float = LIMIT_S) -> list[Credential | str]:
    """Return the logins in the keychain, and a sentence for each that can't be read.

    Where there is no keychain, as on most servers, there is neither.
    """
    global _latest  # noqa: PLW0603 - one question to the person at a time
    items = login.keychain_items()
    with _lock:
        if _latest is None or _latest.items != items or not _latest.is_fresh:
            _latest = _Look(items)
        current = _latest
    if not current.done.wait(max(0.0, current.begun_at + limit_s - time.monotonic())):
        return [f"the keychain did not answer within {limit_s:g} s; look for a dialog of its own"]
    return current.found


def _ask(service: str, account: str) -> list[Credential | str]:
    """Return what an item holds. A backend may fail in any way; its words are not repeated."""
    import keyring
    from keyring.errors import NoKeyringError

    try:
        text = keyring.get_password(service, account)
    except NoKeyringError:
        return []
    except Exception as error:  # noqa: BLE001 - any backend, of anybody
        return [f"the keychain refused its item {service!r} ({type(error).__name__}); unlock it"]
    found = login.parse(text, source="keychain", where=f"keychain item {service!r}") if text else None
    return [found] if found else []
