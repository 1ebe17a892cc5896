"""A token, and what is known of it without its value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ccnb.redact import Secret

OAUTH_TOKEN, API_KEY = "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"

VARIABLES = (OAUTH_TOKEN, API_KEY)
"""Where Claude Code itself looks, in the order in which one is chosen here."""

BEARER = "ANTHROPIC_AUTH_TOKEN"
"""The variable that Claude Code would prefer to both; ccnb doesn't pass it."""

IN_THE_PLACE: Mapping[str, str] = {
    **dict.fromkeys((*VARIABLES, BEARER), ""),
    "CLAUDE_CODE_USE_BEDROCK": "",
    "CLAUDE_CODE_USE_VERTEX": "",
    "CLAUDE_CODE_USE_FOUNDRY": "",
    "ANTHROPIC_BASE_URL": "https://api.anthropic.com",
}
"""What a place's environment has beside the one credential, so that nothing in an image overrides it.

Claude Code takes an empty variable for one that isn't set. The address is written out, since a token is
sent wherever it points, and since other clients take an empty one at its word.
"""

SETUP_TOKEN, LOGIN, KEY = "setup-token", "login token", "API key"

MARGIN_S = 60.0
"""What ends this soon is taken for expired: no run would get through with it."""

_UNKNOWN_EXPIRY = {
    SETUP_TOKEN: "not told by the token; about a year after `claude setup-token` made it",
    LOGIN: "not told by the login",
    KEY: "none; it is good until it is revoked",
}
_SHAPE = re.compile(r"sk-ant-[a-z]{2,8}\d{2}-")
_LETTERS_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """What is known of a token. Its value is not in here."""

    kind: str
    """`setup-token` (good for about a year), `login token` (for hours) or `API key`."""
    variable: str
    """The variable in which the agent gets it."""
    source: str
    """`environment`, `.env`, `keychain` or `file`."""
    where: str
    """The variable, the file, or the keychain's item that holds it."""
    masked: str
    """Its first characters."""
    plan: str | None = None
    """The subscription, such as `max`; known of login tokens only."""
    scopes: tuple[str, ...] = ()
    rate_limit_tier: str | None = None
    expires_at: datetime | None = None
    """Aware UTC; `None` where it isn't known, as for every `setup-token`."""
    warnings: tuple[str, ...] = ()
    """What was passed over before it was found, and what is set beside it."""

    @property
    def is_expired(self) -> bool:
        """Return whether it has expired, or will within a minute."""
        return self.left_s <= MARGIN_S

    @property
    def left_s(self) -> float:
        """Return the seconds until it expires: below zero after that, infinite where it isn't known."""
        if self.expires_at is None:
            return math.inf
        return (self.expires_at - datetime.now(UTC)).total_seconds()

    @property
    def expiry(self) -> str:
        """Return in words when it expires: `in 5 h 12 min`, `3 h 2 min ago`."""
        if self.expires_at is None:
            return _UNKNOWN_EXPIRY[self.kind]
        left_s = self.left_s
        return f"in {span(left_s)}" if left_s > 0 else f"{span(-left_s)} ago"

    def outlives(self, timeout_s: float, runs: int = 1, concurrency: int = 1) -> bool:
        """Return whether it is good until the last of some runs has ended, each taking all of its time.

        Parameters
        ----------
        timeout_s
            The longest that a run may take.
        runs
            How many there are.
        concurrency
            How many go on at once.
        """
        return self.left_s > needed_s(timeout_s, runs, concurrency)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        at = self.expires_at.isoformat(timespec="seconds") if self.expires_at else None
        lists = {"scopes": list(self.scopes), "warnings": list(self.warnings)}
        return asdict(self) | lists | {"expires_at": at, "expiry": self.expiry}


@dataclass(frozen=True)
class Credential:
    """A token with its value."""

    record: TokenRecord
    value: Secret

    @property
    def variable(self) -> str:
        """Return the variable in which the agent expects it."""
        return self.record.variable


def needed_s(timeout_s: float, runs: int, concurrency: int) -> float:
    """Return how long some runs take at the most."""
    return timeout_s * math.ceil(runs / max(1, concurrency))


def masked(value: str) -> str:
    """Return the first characters of a token: its kind, and so few of its own that they tell nothing.

    >>> masked("sk-ant-oat01-abcdefghijklmnopqrstuvwxyz0123456789")
    'sk-ant-oat01-abcd…'
    """
    shape = _SHAPE.match(value)
    known = shape.end() if shape else 0
    return value[: known + min(_LETTERS_SHOWN, (len(value) - known) // 8)] + "…"


def span(seconds: float) -> str:
    """Return a time as the two largest units say it.

    >>> [span(s) for s in (20, 754, 18_725, 90_000, 31_536_000)]
    ['20 s', '12 min', '5 h 12 min', '25 h 0 min', '365 days']
    """
    whole = timedelta(seconds=int(seconds))
    hours, rest_s = divmod(int(seconds), 3600)
    if whole >= timedelta(days=2):
        return f"{whole.days} days"
    if hours:
        return f"{hours} h {rest_s // 60} min"
    return f"{rest_s // 60} min" if rest_s >= 60 else f"{rest_s} s"
