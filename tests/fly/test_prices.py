"""Sizes of machines and what they cost."""

from __future__ import annotations

import pytest

from ccnb.fly.prices import Guest, smallest_guest


@pytest.mark.parametrize(
    ("cpus", "memory_mb", "guest"),
    [
        (2, 2048, Guest("shared", 2, 2048)),
        (1, 100, Guest("shared", 1, 256)),
        (3, 2049, Guest("shared", 4, 2304)),
        (1, 4096, Guest("shared", 2, 4096)),
        (2, 20_000, Guest("performance", 4, 20_224)),
        (16, 1024, Guest("performance", 16, 32_768)),
    ],
)
def test_the_smallest_that_has_as_much(cpus, memory_mb, guest):
    assert smallest_guest(cpus, memory_mb) == guest


def test_there_is_none_beyond_the_largest():
    assert smallest_guest(17, 1024) is None
    assert smallest_guest(1, 200_000) is None


def test_more_costs_more():
    assert (
        0
        < Guest("shared", 1, 256).usd_per_hour
        < Guest("shared", 2, 2048).usd_per_hour
        < Guest("shared", 2, 4096).usd_per_hour
        < Guest("performance", 4, 8192).usd_per_hour
    )
