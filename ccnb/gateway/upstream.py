"""Where the API is, as the caller's environment says, and the credential for it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ccnb.errors import SpecError
from ccnb.redact import Secret

API_URL = "https://api.anthropic.com"


@dataclass(frozen=True)
class Upstream:
    """The way to the API: its address, the proxy on the way, and whom to trust."""

    url: str
    """Without a slash at its end; it may have a path, as a company's own gateway has."""
    proxy: str | None = field(default=None, repr=False)
    """Not shown: a proxy's address may hold a password."""
    ca_file: str | None = None
    """Certificates to trust instead of the usual ones (`SSL_CERT_FILE`)."""
    extra_ca_file: str | None = None
    """Certificates to trust beside them (`NODE_EXTRA_CA_CERTS`)."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read what the agent itself would go by.

        Raises
        ------
        SpecError
            A variable has a value that can't be used.
        """
        url = api_url()
        parts = urlsplit(url)
        proxies = getproxies()
        direct = _is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc)
        proxy = None if direct else proxies.get(parts.scheme) or proxies.get("all")
        return cls(url, proxy, _ca_file("SSL_CERT_FILE"), _ca_file("NODE_EXTRA_CA_CERTS"))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from JSON."""
        return cls(**data)


@dataclass(frozen=True)
class Pass:
    """What a run's calls get on their way out: the real credential, and the way."""

    variable: str
    """The variable in which the agent would have the credential; says of which kind it is."""
    value: Secret
    upstream: Upstream

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that carries the credential: an API key has its own, a token is a bearer."""
        if self.variable == "ANTHROPIC_API_KEY":
            return {"x-api-key": self.value.reveal()}
        return {"authorization": f"Bearer {self.value.reveal()}"}


def api_url() -> str:
    """Return the API's address as the caller's environment has it, else the vendor's.

    Raises
    ------
    SpecError
        `ANTHROPIC_BASE_URL` is no address.
    """
    url = (os.environ.get("ANTHROPIC_BASE_URL") or API_URL).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise SpecError(f"ANTHROPIC_BASE_URL is {url!r}; set it to an address such as {API_URL}")
    return url


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _ca_file(variable: str) -> str | None:
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise SpecError(f"{variable} names {path}, which can't be used ({error}); mend or unset it") from None
    return os.path.abspath(path)  # noqa: PTH100 - links stay: what they lead to may be replaced
