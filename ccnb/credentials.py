"""The credential that lets the agent ask the model."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ccnb.errors import CredentialError
from ccnb.redact import Secret

VARIABLES = ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY")
"""Where Claude Code itself looks, in the order in which one is chosen here."""


@dataclass(frozen=True)
class Credential:
    """A token and the variable in which the agent expects it."""

    variable: str
    value: Secret


def find() -> Credential:
    """Return the credential that the environment holds.

    Raises
    ------
    CredentialError
        There is none.
    """
    for variable in VARIABLES:
        value = os.environ.get(variable, "").strip()
        if value:
            return Credential(variable, Secret(value))
    raise CredentialError(
        "no token found in CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY; run `claude setup-token` and set "
        "the first, or try without an account: --api script:demo"
    )
