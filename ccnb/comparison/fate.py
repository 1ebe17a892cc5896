"""Whose an ending is: the agent's own, which counts, or the world's around it, which is tried again."""

from __future__ import annotations

import random

APART = ("infrastructure", "lost", "wedged", "cancelled")
"""Outcomes that say nothing of an arm: they are rows of their own class, out of rates and timings."""

_FOR_GOOD = frozenset(
    {
        *("authentication_failed", "not_logged_in", "billing_error", "no_credential", "not_recorded"),
        *("model_not_found", "invalid_request", "agent_missing", "root_refused", "setup_failed"),
        *("CassetteError", "CredentialError", "ImageError", "ScriptError", "SpecError"),
        *("budget", "budget_tokens"),
        "cancelled",
    }
)
"""Causes that another try would meet again; who stopped a run wants no other at once."""

_PAUSES_S: dict[str, float] = {"rate_limit": 20.0, "overloaded": 5.0, "server_error": 5.0, "api_error": 5.0}
_PAUSE_S = 0.5
_LONGEST_S = 120.0


def counts(outcome: str, budget_group: str | None = None) -> bool:
    """Return whether an outcome is the agent's own: not so where runs have used up what they share."""
    return outcome not in APART and not (outcome == "budget" and budget_group is not None)


def may_pass(kind: str) -> bool:
    """Return whether the cause of a failure may be gone at the next try."""
    return kind not in _FOR_GOOD


def pause_s(kind: str, tries: int) -> float:
    """Return how long to wait after some failed tries: longer each time, and not the same for all."""
    longest: float = min(_PAUSES_S.get(kind, _PAUSE_S) * 2 ** (tries - 1), _LONGEST_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
