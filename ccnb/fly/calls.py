"""One call to Fly.io: paced to the platform's limits, tried again by cause, its failure as one sentence."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ccnb.errors import OutOfReachError
from ccnb.fly.answers import content, failure
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


class UnclearError(OutOfReachError):
    """A call that must not be made twice got no answer: whether it was carried out isn't known."""


@dataclass(frozen=True)
class _NoAnswer:
    """Why a call has to be made again."""

    why: str
    is_unclear: bool
    """Whether it may have been carried out."""
    wait_s: float = 0.0
    """What the platform asks for."""


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

    def __init__(self, settings: Settings, margin_s: float = _MARGIN_S) -> None:
        self.settings = settings
        self._margin_s = margin_s
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
        request = self._http.build_request(
            method,
            url,
            params=query,
            json=body,
            headers={"authorization": self.settings.authorization},
            timeout=httpx.Timeout(timeout_s + self._margin_s, connect=_CONNECT_S),
        )
        until = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            async with self._pace(action):
                answer = await self._ask(request)
            if isinstance(answer, httpx.Response):
                return content(answer)
            if once and answer.is_unclear:
                raise UnclearError(f"Fly.io gave no clear answer ({answer.why}); try again")
            if time.monotonic() > until:
                raise OutOfReachError(
                    f"Fly.io doesn't answer ({answer.why}); what runs there goes on: "
                    "mend the network, then attach"
                )
            # Spread out, so that many runs don't all come back at the same moment.
            spread_s = pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            await asyncio.sleep(max(answer.wait_s, spread_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _ask(self, request: httpx.Request) -> httpx.Response | _NoAnswer:
        """Ask once; give the answer, or why it has to be asked again."""
        try:
            answer = await self._http.send(request)
        except httpx.HTTPError as error:
            refused = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            return _NoAnswer(f"{type(error).__name__}: {error}".rstrip(": "), is_unclear=not refused)
        if answer.status_code not in _AGAIN:
            return answer
        is_unclear = answer.status_code != httpx.codes.TOO_MANY_REQUESTS
        return _NoAnswer(str(failure(answer)), is_unclear=is_unclear, wait_s=_retry_after(answer))

    def _pace(self, action: tuple[str, str]) -> Pace:
        if action not in self._paces:
            self._paces[action] = Pace(*_LIMITS.get(action[0], _OTHER))
        return self._paces[action]


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(float(answer.headers.get("retry-after", 0)), 60.0)
    except ValueError:
        return 0.0
