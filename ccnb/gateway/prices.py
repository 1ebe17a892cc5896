"""What a call costs, in list prices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AS_OF = "2026-11-24"
"""When the table was taken: from what Claude Code 2.1.330 itself reckons, which a test holds it against."""


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens."""

    input: float
    output: float
    cache_read: float
    long: Price | None = None
    """What holds instead for a prompt of more than `LONG_TOKENS`."""


LONG_TOKENS = 100_000

PRICES: Mapping[str, Price] = {
    "claude-fable-5-2": Price(8, 40, 0.2),
    "claude-opus-5-5": Price(4, 20, 0.2),
    "claude-sonnet-5-5": Price(2, 10, 0.1),
    "claude-haiku-5-5": Price(0.1, 0.5, 0.01, long=Price(0.5, 2.5, 0.05)),
    "claude-opus-4-5": Price(5, 25, 0.5),
    "claude-sonnet-4-5": Price(3, 15, 0.3),
    "claude-haiku-4-5": Price(1, 5, 0.1),
}

_DATED = re.compile(r"-\d{8}$|\[1m\]$")
_CACHE_WRITE, _CACHE_WRITE_1H = 1.25, 2.0
"""How many times the price of an input token it costs to cache one, for five minutes and for an hour."""


def cost_usd(model: object, usage: Mapping[str, Any]) -> float | None:
    """Return what a call with such a `usage` costs; None for a model that the table doesn't have.

    An estimate, as is the agent's own `total_cost_usd`: a subscription pays no such prices, and tools that
    the vendor runs (a web search) have prices of their own.
    """
    price = PRICES.get(_DATED.sub("", model)) if isinstance(model, str) else None
    if price is None or usage.get("speed") not in (None, "standard"):
        return None
    fresh, read, written, output = (
        _count(usage, name)
        for name in (
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
        )
    )
    if price.long and fresh + read + written > LONG_TOKENS:
        price = price.long
    hour = min(written, _count(usage.get("cache_creation"), "ephemeral_1h_input_tokens"))
    weighed = fresh + _CACHE_WRITE * (written - hour) + _CACHE_WRITE_1H * hour
    return (weighed * price.input + read * price.cache_read + output * price.output) / 1e6


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) else 0
