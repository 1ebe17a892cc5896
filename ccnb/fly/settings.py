"""What is needed to talk to Fly.io, and where it is found: arguments, variables, `.env`, fly.toml, flyctl."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from ccnb.errors import CredentialError, ModeUnavailableError
from ccnb.redact import SHORTEST, Secret

MACHINES_URL = "https://api.machines.dev"
LOGS_URL = "https://api.fly.io"
REGISTRY = "registry.fly.io"
REGION = "arn"
TEMPLATE_APP = "change-me-ccnb"
"""The app's name in the template, which nobody has set."""

_MACAROONS = ("fm1r_", "fm1a_", "fm2_")


@dataclass(frozen=True)
class Settings:
    """Everything that a call needs; a value that nobody has set is empty."""

    app: str = ""
    org: str = ""
    region: str = REGION
    image: str = ""
    token: Secret | None = None
    machines_url: str = MACHINES_URL
    logs_url: str = LOGS_URL
    registry: str = REGISTRY

    @classmethod
    def find(cls, folder: Path | None = None, **given: str | None) -> Self:
        """Gather them: what is given, then the environment, `.env`, fly.toml, and flyctl's own settings.

        The variables are flyctl's (`FLY_API_TOKEN`, `FLY_ACCESS_TOKEN`, `FLY_FLAPS_BASE_URL`,
        `FLY_API_BASE_URL`, `FLY_APP`, `FLY_ORG`, `FLY_REGION`) and `CCNB_FLY_IMAGE`, `CCNB_FLY_REGISTRY`.

        Parameters
        ----------
        folder
            Where `.env` and fly.toml lie; the current folder if `None`.
        """
        folder = folder or Path.cwd()
        variables = {**_dotenv(folder / ".env"), **os.environ}
        toml, flyctl = _toml(folder / "fly.toml"), _flyctl()

        def first(name: str, *keys: str, more: Any = "", default: str = "") -> str:
            found = given.get(name) or next(filter(None, map(variables.get, keys)), None) or more or default
            return str(found).strip()

        app = str(toml.get("app", ""))
        return cls(
            app=first("app", "FLY_APP", more="" if app == TEMPLATE_APP else app),
            org=first("org", "FLY_ORG", default="personal"),
            region=first("region", "FLY_REGION", more=toml.get("primary_region"), default=REGION),
            image=first("image", "CCNB_FLY_IMAGE"),
            token=_secret(
                first("token", "FLY_API_TOKEN", "FLY_ACCESS_TOKEN", more=flyctl.get("access_token"))
            ),
            machines_url=first("machines_url", "FLY_FLAPS_BASE_URL", default=MACHINES_URL).rstrip("/"),
            logs_url=first("logs_url", "FLY_API_BASE_URL", default=LOGS_URL).rstrip("/"),
            registry=first("registry", "CCNB_FLY_REGISTRY", default=REGISTRY).rstrip("/"),
        )

    @property
    def is_near(self) -> bool:
        """Return whether the platform is a double on this machine, so that its machines can reach us."""
        return is_near(self.machines_url)

    @property
    def authorization(self) -> str:
        """Return the header's value: macaroons and other tokens have schemes of their own.

        The rule is that of superfly/fly-go, tokens/tokens.go.
        """
        token = self.token.reveal() if self.token else ""
        scheme = "FlyV1" if any(t.startswith(_MACAROONS) for t in token.split(",")) else "Bearer"
        return f"{scheme} {token}"

    def needed(self) -> Self:
        """Return itself if a token and an app are named.

        Raises
        ------
        CredentialError
        ModeUnavailableError
        """
        if self.token is None:
            raise CredentialError(
                "no token for Fly.io; set FLY_API_TOKEN (`fly tokens create deploy`, or "
                "https://fly.io/user/personal_access_tokens)"
            )
        if not self.app:
            raise ModeUnavailableError("no app of Fly.io is named; run `ccnb fly setup`")
        return self


def is_near(url: str) -> bool:
    """Return whether an address is one of this machine itself."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _secret(token: str) -> Secret | None:
    plain = plain_token(token)
    return Secret(plain) if len(plain) >= SHORTEST else None


def plain_token(token: str) -> str:
    """Return a token without the scheme with which flyctl prints it."""
    for scheme in ("FlyV1 ", "Bearer "):
        token = token.strip().removeprefix(scheme)
    return token.strip()


def _dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a `.env` file; lines that set none are left out."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _flyctl() -> Mapping[str, Any]:
    """Return flyctl's own settings (superfly/flyctl keeps them in config.yml)."""
    folder = Path(os.environ.get("FLY_CONFIG_DIR") or Path.home() / ".fly")
    try:
        found = yaml.safe_load((folder / "config.yml").read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
