"""What these tests share: the agent that does as it is told is first on PATH."""

from __future__ import annotations

import os

import pytest

from tests.conftest import DOUBLES


@pytest.fixture
def obedient(home, monkeypatch):
    """Let mode `local` find the agent's double; return the store's home."""
    monkeypatch.setenv("PATH", f"{DOUBLES / 'agent'}:{os.environ['PATH']}")
    return home
