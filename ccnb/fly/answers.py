"""What Fly.io answers: its content, or its refusal as one sentence with the next action."""

from __future__ import annotations

from typing import Any

import httpx

from ccnb.errors import CcnbError, CredentialError, EngineError, ImageError


class FlyError(EngineError):
    """The platform refused a call."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[FlyError], tuple[str, int]]:
        return type(self), (str(self), self.status)


def content(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; `None` of an empty one.

    Raises
    ------
    FlyError
        The platform refused.
    CredentialError
    ImageError
    """
    if answer.is_success:
        return answer.json() if answer.content else None
    raise failure(answer)


def failure(answer: httpx.Response) -> CcnbError:
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
