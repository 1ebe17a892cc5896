"""What can be said of a credential before a run: that it is there, and that it will last."""

from __future__ import annotations

from ccnb.credentials.search import find
from ccnb.credentials.token import LOGIN, TokenRecord, needed_s, span


def preflight(*, timeout_s: float, runs: int = 1, concurrency: int = 1) -> list[str]:
    """Return what should be known of the credential before some runs begin: mostly nothing.

    Parameters
    ----------
    timeout_s
        The longest that a run may take.
    runs
        How many there will be.
    concurrency
        How many will go on at once.

    Raises
    ------
    CredentialError
        There is no credential, or none that is still good.
    """
    record = find().record
    return [*record.warnings, *_shortcomings(record, timeout_s, runs, concurrency)]


def _shortcomings(record: TokenRecord, timeout_s: float, runs: int, concurrency: int) -> list[str]:
    said = []
    if not record.outlives(timeout_s, runs, concurrency):
        longest = span(needed_s(timeout_s, runs, concurrency))
        work = f"{runs} runs" if runs > 1 else "the run"
        said.append(
            f"the {record.kind} in {record.where} expires {record.expiry}, and {work} may take {longest}; "
            "run `claude setup-token` for one that lasts, or set a shorter timeout_s"
        )
    at_once = min(runs, concurrency)
    if record.kind == LOGIN and at_once > 1:
        said.append(
            f"{at_once} runs at once share the login token in {record.where}, which Claude Code may replace "
            "in the meantime; run `claude setup-token` for one that stays the same"
        )
    return said
