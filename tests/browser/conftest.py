"""One browser and one JupyterLab for all tests of this folder; each has a store and a kernel of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import lab, quiet

SHOTS = Path(os.environ["CCNB_SCREENSHOTS"]).absolute() if os.environ.get("CCNB_SCREENSHOTS") else None
"""A folder for pictures of what the tests see; none are taken without it."""


@pytest.fixture(scope="package")
def inside():
    with quiet.network() as words:
        yield words


@pytest.fixture(scope="package")
def chromium(inside, tmp_path_factory):
    with lab.browser(tmp_path_factory.mktemp("browser"), inside) as found:
        yield found


@pytest.fixture(scope="package")
def jupyter(inside, tmp_path_factory):
    with lab.server(tmp_path_factory.mktemp("lab"), inside) as found:
        yield found


@pytest.fixture
def open_notebook(home, jupyter, chromium):
    """Return a function that opens a notebook of some cells in a tab of its own."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    context.set_default_timeout(lab.CELL_MS)

    def open_(*cells):
        path = lab.Notebook.write(home, jupyter.kernel(), *cells)
        return lab.Notebook.open(context.new_page(), jupyter.address, path)

    yield open_
    if context.pages:
        jupyter.end_kernels(context.pages[0])
    context.close()


@pytest.fixture
def picture():
    """Return a function that keeps pictures of a part of the page, light and dark, where they are wanted."""

    def take(part, name):
        if not SHOTS:
            return
        notebook, before = lab.Notebook(part.page), part.page.viewport_size
        # As high as it is: what lies outside of the window is grey.
        part.page.set_viewport_size({"width": before["width"], "height": 2_000})
        for theme, end in (("JupyterLab Dark", "-dark"), ("JupyterLab Light", "")):
            notebook.use_theme(theme)
            part.screenshot(path=SHOTS / f"{name}{end}.png")
        part.page.set_viewport_size(before)

    return take
