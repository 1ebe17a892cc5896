"""The token as a person looks at it."""

from __future__ import annotations

from typing import Self

from ccnb import credentials, render
from ccnb.credentials import TokenRecord


class TokenInfo(TokenRecord):
    """What is known of a token, as a table in a notebook and in a terminal. Its value is not in here."""

    @classmethod
    def of(cls, record: TokenRecord) -> Self:
        """Make it from the plain record."""
        return cls(**vars(record))

    def __rich__(self) -> render.Grid:
        """Return the table for a terminal."""
        return render.token_table(self.to_dict())

    def _repr_html_(self) -> str:
        return self.__rich__()._repr_html_()


def token() -> TokenInfo:
    """Look at the token that a run of a real model would use now. It is neither shown nor changed.

    Where it is looked for, in this order: `CLAUDE_CODE_OAUTH_TOKEN` and `ANTHROPIC_API_KEY` in the
    environment, both in a `.env` file of the current folder, the system's keychain (which may ask you),
    Claude Code's own `.credentials.json`.

    Raises
    ------
    CredentialError
        There is none, or none that is still good.
    """
    return TokenInfo.of(credentials.find().record)
