"""A platform of its own for each test of the client."""

from __future__ import annotations

import pytest

from tests.doubles import for_arm
from tests.doubles.fly.client import Double


@pytest.fixture
def double():
    """Return a double with an app, and an image for another processor on its engine."""
    for_arm.load()
    with Double(hang_s=0.5) as double:
        double.make_app("mine")
        double.forget()
        yield double
