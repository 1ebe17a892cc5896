"""A browser for all tests of this folder, and a JupyterLab with a fresh store for each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import lab

SHOTS = os.environ.get("CCNB_SCREENSHOTS")
"""A folder for pictures of what the tests see; none are taken without it."""


@pytest.fixture(scope="session")
def chromium():
    with lab.browser() as found:
        yield found


@pytest.fixture
def address(home):
    """Return the address of a JupyterLab whose runs go to this test's store."""
    with lab.server(home) as address:
        yield address


@pytest.fixture
def open_notebook(home, address, chromium):
    """Return a function that opens a notebook of some cells in a tab of its own."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    context.set_default_timeout(lab.CELL_MS)

    def open_(*cells):
        name = lab.Notebook.write(home, *cells)
        return lab.Notebook.open(context.new_page(), address, name)

    yield open_
    context.close()


@pytest.fixture
def picture():
    """Return a function that keeps a picture of a part of the page, where pictures are wanted."""

    def take(part, name):
        if SHOTS:
            part.screenshot(path=Path(SHOTS) / name)

    return take
