"""Ask a registry whether it has an image, by Docker's registry protocol and its login.

Source: https://distribution.github.io/distribution/spec/auth/token/. A registry says itself how one logs in.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

from ccnb.errors import CredentialError, ImageError, OutOfReachError
from ccnb.fly.settings import Settings, is_near

USER = "x"
"""Fly.io's registry takes any user; its own documentation has this one."""

_KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_LIMIT_S = 20.0


async def see(settings: Settings, reference: str) -> None:
    """See that the app's registry has an image; one of another registry is left to the platform.

    Raises
    ------
    ImageError, CredentialError, OutOfReachError
    """
    registry, _, rest = reference.partition("/")
    if registry != settings.registry:
        return
    name, _, version = rest.partition("@") if "@" in rest else rest.partition(":")
    scheme = "http" if is_near(f"//{registry}") else "https"
    url = f"{scheme}://{registry}/v2/{name}/manifests/{version or 'latest'}"
    async with httpx.AsyncClient(timeout=_LIMIT_S, trust_env=scheme == "https") as http:
        try:
            status = await _status(http, url, settings)
        except httpx.HTTPError as error:
            raise OutOfReachError(
                f"the registry {registry} doesn't answer ({type(error).__name__}); try again later"
            ) from None
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CredentialError(
            f"the registry {registry} refuses the token for app {settings.app!r} ({status}); "
            "make a new one (`fly tokens create deploy`) and set FLY_API_TOKEN"
        )
    if status != httpx.codes.OK:
        raise ImageError(f"the registry {registry} doesn't have {rest} ({status}); run `ccnb fly build`")


async def _status(http: httpx.AsyncClient, url: str, settings: Settings) -> int:
    """Ask, and once more with what the registry wants of those who log in."""
    headers = {"accept": _KINDS}
    answer = await http.head(url, headers=headers)
    wanted = answer.headers.get("www-authenticate", "")
    if answer.status_code != httpx.codes.UNAUTHORIZED or not settings.token:
        return answer.status_code
    login = httpx.BasicAuth(USER, settings.token.reveal())
    if wanted.lower().startswith("basic"):
        return (await http.head(url, headers=headers, auth=login)).status_code
    fields = dict(_FIELD.findall(wanted))
    query = {name: fields[name] for name in ("service", "scope") if name in fields}
    given = await http.get(fields.get("realm", ""), params=query, auth=login)
    if not given.is_success:
        return given.status_code
    found: dict[str, Any] = given.json()
    token = found.get("token") or found.get("access_token")
    return (await http.head(url, headers={**headers, "authorization": f"Bearer {token}"})).status_code
