"""The credential that lets the agent ask the model: where it is found, and what is known of it.

It is only ever read. A login's refresh token changes with each use, and whoever used it here would log
Claude Code itself out; so nothing is renewed, and what has expired is passed over.
"""

from ccnb.credentials.checks import preflight
from ccnb.credentials.copies import recall, remember
from ccnb.credentials.search import find, find_to_keep
from ccnb.credentials.token import (
    API_KEY,
    IN_THE_PLACE,
    OAUTH_TOKEN,
    VARIABLES,
    Credential,
    TokenRecord,
)

__all__ = [
    "API_KEY",
    "IN_THE_PLACE",
    "OAUTH_TOKEN",
    "VARIABLES",
    "Credential",
    "TokenRecord",
    "find",
    "find_to_keep",
    "preflight",
    "recall",
    "remember",
]
