"""JupyterLab as a person has it: a server, a browser, a notebook whose cells are looked at and clicked."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
expect = playwright.expect
expect.set_options(timeout=20_000)

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
_SWITCHES = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light"},
}
START_S = 60
TRIES = 5
STEADY_S = 1.5
CELL_MS = 60_000


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def server(folder, theme="JupyterLab Light"):
    """Yield the address of a JupyterLab of its own, whose kernels import the ccnb that is tested."""
    port = free_port()
    settings = folder / "settings"
    for name, values in (_QUIET | {"@jupyterlab/apputils-extension:themes": {"theme": theme}}).items():
        extension, _, plugin = name.partition(":")
        path = settings / extension / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    words = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    words += [f"--port={port}", "--IdentityProvider.token=", "--ServerApp.password="]
    words += [f"--ServerApp.root_dir={folder}", "--LabApp.extension_manager=readonly"]
    with (folder / "lab.log").open("wb") as log:
        lab = subprocess.Popen(words, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(port, lab, folder / "lab.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        lab.send_signal(signal.SIGTERM)
        try:
            lab.wait(20)
        except subprocess.TimeoutExpired:
            lab.kill()


def _wait_for(port, lab, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until and lab.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@contextmanager
def browser():
    """Yield a Chromium."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=CHROMIUM, args=[*_SWITCHES, *(["--no-sandbox"] if os.getuid() == 0 else [])]
        )
        try:
            yield chromium
        finally:
            chromium.close()


class Notebook:
    """A notebook in a tab of the browser."""

    def __init__(self, page):
        self.page = page

    @classmethod
    def write(cls, folder, *cells, name="work.ipynb"):
        made = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(made, folder / name)
        return name

    @classmethod
    def open(cls, page, address, name):
        page.goto(f"{address}/doc/tree/{name}")
        notebook = cls(page)
        notebook.wait_until_idle()
        return notebook

    def wait_until_idle(self):
        """Wait until the notebook is there and its kernel answers.

        A page says `idle` for a moment before it has a kernel, and what is run then is lost.
        """
        for _ in range(TRIES):
            until, since = time.monotonic() + 30, None
            while time.monotonic() < until:
                since = (since or time.monotonic()) if self._is_idle() else None
                if since and time.monotonic() - since > STEADY_S:
                    return
                self.page.wait_for_timeout(100)
            self.page.reload()
        raise AssertionError("the kernel doesn't answer")

    def _is_idle(self):
        status = "() => document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"
        return self.page.evaluate(status) == "idle"

    def again(self):
        """Open the same notebook in a second tab."""
        page = self.page.context.new_page()
        page.goto(self.page.url)
        other = Notebook(page)
        expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=CELL_MS)
        return other

    def cell(self, number):
        return self.page.locator(".jp-CodeCell").nth(number)

    def run(self, number):
        """Run a cell as a person does, and don't wait for it."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        # A page that has just been drawn may not take keys yet.
        for _ in range(TRIES):
            self.cell(number).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            with suppress(AssertionError):
                expect(prompt).not_to_have_text(before, timeout=3_000)
                return
        raise AssertionError(f"cell {number} can't be run")

    def run_all_of(self, number):
        """Run a cell and wait for its end."""
        self.run(number)
        self.finished(number)

    def finished(self, number, timeout_ms=CELL_MS):
        prompt = self.cell(number).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=timeout_ms)

    def is_running(self, number):
        return self.cell(number).locator(".jp-InputPrompt").inner_text().strip() == "[*]:"

    def output(self, number):
        return self.cell(number).locator(".jp-Cell-outputArea")

    def save(self):
        self.page.keyboard.press("Control+s")
