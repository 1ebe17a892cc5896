"""One call to Fly.io: paced to the platform's limits, tried again by cause, its failure as one sentence."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import httpx

from ccnb.errors import CcnbError, CredentialError, EngineError, ImageError, OutOfReachError
from ccnb.fly.settings import Settings

PATIENCE_S = 60.0
"""How long a call is tried again before the platform counts as out of reach."""

_LIMITS: dict[str, tuple[float, int, int]] = {
    "get machine": (5.0, 8, 2),
    "post machines": (1.0, 1, 2),
    "exec": (1.0, 2, 4),
    "wait": (1.0, 2, 4),
}
_OTHER = (1.0, 2, 1)
"""Requests a second, burst, and how many may be without an answer; per action and app or machine.

The platform allows a burst of 10 and 3. Calls that were held up on the way arrive at once: together with
those that are sent then they must not be more.
"""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.3, 8.0
_AGAIN = frozenset({429, 500, 502, 503, 504})
_CONNECT_S = 10.0
_MARGIN_S = 15.0
"""How much longer than the platform itself we wait for its answer."""


class FlyError(EngineError):
    """The platform refused a call."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[FlyError], tuple[str, int]]:
        return type(self), (str(self), self.status)


class UnclearError(OutOfReachError):
    """A call that must not be made twice got no answer: whether it was carried out isn't known."""


class Pace:
    """Lets calls through at a rate, and no more at once than may be without an answer."""

    def __init__(self, rate: float, burst: int, at_once: int) -> None:
        self._gap_s = 1.0 / rate
        self._burst = burst
        self._free_at = 0.0
        self._unanswered = asyncio.Semaphore(at_once)

    async def __aenter__(self) -> None:
        """Wait for one's turn."""
        await self._unanswered.acquire()
        now = time.monotonic()
        begin = max(self._free_at, now - self._gap_s * (self._burst - 1))
        self._free_at = begin + self._gap_s
        try:
            await asyncio.sleep(max(0.0, begin - now))
        except asyncio.CancelledError:
            self._unanswered.release()
            raise

    async def __aexit__(self, *_error: object) -> None:
        """Let the next one through: the answer is here."""
        self._unanswered.release()


class Caller:
    """Makes calls with one account."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._paces: dict[tuple[str, str], Pace] = {}
        self._http = httpx.AsyncClient(
            headers={"user-agent": "ccnb"},
            limits=httpx.Limits(max_connections=64),
            # A company's proxy stands before the platform, never before this machine itself.
            trust_env=not settings.is_near,
        )

    async def call(
        self,
        method: str,
        url: str,
        *,
        action: tuple[str, str],
        once: bool = False,
        timeout_s: float = 30.0,
        patience_s: float = PATIENCE_S,
        query: Any = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call and return the answer's JSON.

        Parameters
        ----------
        action
            What is done, and to which app or machine: what the platform's limits count by.
        once
            The call must not be carried out twice.

        Raises
        ------
        FlyError
            The platform refused.
        UnclearError
            With `once`: it may have been carried out.
        OutOfReachError
            Nothing answered for `patience_s`.
        CredentialError
        ImageError
        """
        until = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._pace(action):
                    answer = await self._http.request(
                        method,
                        url,
                        params=query,
                        json=body,
                        headers={"authorization": self.settings.authorization},
                        timeout=httpx.Timeout(timeout_s + _MARGIN_S, connect=_CONNECT_S),
                    )
            except httpx.HTTPError as error:
                why, wait_s = _brief(error), 0.0
                unclear = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if answer.status_code not in _AGAIN:
                    return _content(answer)
                why, wait_s = str(_failure(answer)), _retry_after(answer)
                unclear = answer.status_code != httpx.codes.TOO_MANY_REQUESTS
            if once and unclear:
                raise UnclearError(f"Fly.io gave no clear answer ({why}); try again")
            if time.monotonic() > until:
                raise OutOfReachError(
                    f"Fly.io doesn't answer ({why}); what runs there goes on: mend the network, then attach"
                )
            # Spread out, so that many runs don't all come back at the same moment.
            await asyncio.sleep(max(wait_s, pause_s * random.uniform(0.5, 1.5)))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _pace(self, action: tuple[str, str]) -> Pace:
        if action not in self._paces:
            self._paces[action] = Pace(*_LIMITS.get(action[0], _OTHER))
        return self._paces[action]


def _content(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    raise _failure(answer)


def _failure(answer: httpx.Response) -> CcnbError:
    """Return a refused call as one sentence with the next action."""
    said, reason = _said(answer)
    trace = answer.headers.get("fly-request-id")
    what = f"{said} ({answer.status_code}{', fly-request-id ' + trace if trace else ''})"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        expired = "has expired" if "expired" in said else "was refused"
        return CredentialError(
            f"the token for Fly.io {expired}: {what}; make a new one (`fly tokens create deploy`) "
            "and set FLY_API_TOKEN"
        )
    if any(sign in said.lower() for sign in ("manifest", "could not find image", "image not found")):
        return ImageError(f"Fly.io doesn't have the image: {what}; run `ccnb fly build`")
    if "platform" in said and "image" in said:
        return ImageError(f"the image is for another processor: {what}; run `ccnb fly build`")
    action = _next_action(answer.status_code, f"{said} {reason}")
    return FlyError(f"Fly.io refused: {what}; {action}", answer.status_code)


_ACTIONS = (
    ("capacity", "try again later, or name another region (FLY_REGION, or primary_region in fly.toml)"),
    (
        "name has already been taken",
        "all people of Fly.io share these names, so choose another: `ccnb fly setup --app NAME`",
    ),
    ("organization", "name one of yours: `ccnb fly setup --org NAME`"),
    ("app not found", "run `ccnb fly setup`"),
    ("memory_mb", "memory_mb must be a multiple of 256, and from 256 to 2048 for each shared cpu"),
)
"""What to do, by a word of what the platform says."""


def _next_action(status: int, said: str) -> str:
    for sign, action in _ACTIONS:
        if sign in said.lower():
            return action
    if status == httpx.codes.FORBIDDEN:
        return "the app is another's: use a token of its owner, or another app (`ccnb fly setup --app NAME`)"
    return "see `ccnb fly status`"


def _said(answer: httpx.Response) -> tuple[str, str]:
    """Return the platform's own words and its word for the cause."""
    try:
        body = answer.json()
        said = body.get("error") or body.get("message") or answer.reason_phrase
        return str(said), str(body.get("status") or "")
    except (ValueError, AttributeError):
        return answer.text[:200].strip() or answer.reason_phrase, ""


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(float(answer.headers.get("retry-after", 0)), 60.0)
    except ValueError:
        return 0.0


def _brief(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
