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
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import pytest

from ccnb.credentials import VARIABLES
from ccnb.credentials.token import BEARER

playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
expect = playwright.expect

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
_SWITCHES = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light"},
}
START_S = 120
TRIES = 5
CELL_MS = 90_000
SEE_MS = 45_000
expect.set_options(timeout=SEE_MS)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Lab:
    """A JupyterLab, whose kernels each have the environment that their test had."""

    def __init__(self, address, folder):
        self.address = address
        self._folder = folder
        self._before = dict(os.environ)
        self._count = 0

    def kernel(self):
        """Make a kernel that has what this process's environment has now; return its name."""
        self._count += 1
        name = f"test-{self._count}"
        variables = {k: v for k, v in os.environ.items() if self._before.get(k) != v}
        words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        content = {"argv": words, "display_name": "Python 3", "language": "python", "env": variables}
        path = self._folder / "data" / "kernels" / name / "kernel.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
        return name

    def end_kernels(self, page):
        """End all kernels, and forget the notebooks that they belong to."""
        page.evaluate(_END_SESSIONS)


_END_SESSIONS = """async () => {
    const found = await (await fetch("/api/sessions")).json();
    await Promise.all(found.map((one) => fetch(`/api/sessions/${one.id}`, { method: "DELETE" })));
}"""
_ANSWERS = """async (path) => {
    const found = await (await fetch("/api/sessions")).json();
    const shown = document.querySelector(".jp-Notebook-ExecutionIndicator")?.dataset.status;
    const kernel = found.find((one) => one.path === path)?.kernel;
    return shown === "idle" && kernel?.execution_state === "idle" && kernel.connections > 0;
}"""


def _write_settings(folder):
    for name, values in _SETTINGS.items():
        extension, _, plugin = name.partition(":")
        path = folder / "settings" / extension / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextmanager
def server(folder, inside=()):
    """Yield a JupyterLab, started by some words before its own, whose kernels import the ccnb that is tested.

    What it serves is the folder in which tests have their stores, so that a notebook may lie in each.
    """
    port = free_port()
    _write_settings(folder)
    environment = {k: v for k, v in os.environ.items() if k not in (*VARIABLES, BEARER)} | {
        "PYTHONPATH": str(ROOT),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    words = [*inside, sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    words += [f"--port={port}", "--IdentityProvider.token=", "--ServerApp.password="]
    words += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={tempfile.gettempdir()}"]
    words += ["--LabApp.extension_manager=readonly", "--LabApp.expose_app_in_browser=True"]
    with (folder / "lab.log").open("wb") as log:
        lab = subprocess.Popen(words, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/lab", lab, folder / "lab.log")
        yield Lab(f"http://127.0.0.1:{port}", folder)
    finally:
        lab.send_signal(signal.SIGTERM)
        try:
            lab.wait(20)
        except subprocess.TimeoutExpired:
            lab.kill()


def _wait_for(address, lab, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until and lab.poll() is None:
        if address in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@contextmanager
def browser(folder, inside=()):
    """Yield a Chromium, started by some words before its own."""
    start = folder / "chromium"
    start.write_text(f'#!/bin/sh\nexec {" ".join(inside)} {CHROMIUM} "$@"\n')
    start.chmod(0o755)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=start, args=[*_SWITCHES, *(["--no-sandbox"] if os.getuid() == 0 else [])]
        )
        try:
            yield chromium
        finally:
            chromium.close()


class Notebook:
    """A notebook in a tab of the browser."""

    def __init__(self, page, path=""):
        self.page = page
        self.path = path
        """As the server has it; a page's address may have a workspace of JupyterLab's in it as well."""
        self.received_bytes = 0
        """What its kernel has sent to the page."""
        page.on("websocket", lambda one: one.on("framereceived", self._count))

    def _count(self, frame):
        self.received_bytes += len(frame)

    @classmethod
    def write(cls, folder, kernel, *cells, name="work.ipynb"):
        """Write a notebook and return its path, as the server has it."""
        made = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(made, folder / name)
        return f"{folder.name}/{name}"

    @classmethod
    def open(cls, page, address, path):
        notebook = cls(page, path)
        page.goto(f"{address}/doc/tree/{path}")
        notebook.wait_until_idle()
        return notebook

    def wait_until_idle(self):
        """Wait until the notebook is there, and its kernel answers it.

        A page says `idle` for a moment before it has a kernel, and what is run then is lost: so the server is
        asked as well.
        """
        expect(self.page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=CELL_MS)
        until = time.monotonic() + CELL_MS / 1000
        while not self.page.evaluate(_ANSWERS, self.path):
            assert time.monotonic() < until, "the kernel doesn't answer"
            self.page.wait_for_timeout(100)

    def again(self):
        """Open the same notebook in a second tab."""
        page = self.page.context.new_page()
        other = Notebook(page, self.path)
        page.goto(self.page.url)
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

    def write_in(self, number, text):
        """Write into a cell that is empty."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.type(text)

    def restart_kernel(self):
        """Restart the kernel by its button, and wait until the new one answers."""
        self.page.locator('[data-jp-item-name="restart"]').get_by_role("button").click()
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        self.wait_until_idle()

    def use_theme(self, name):
        """Let the page be light or dark, by the command that a menu has for it."""
        command = f"window.jupyterapp.commands.execute('apputils:change-theme', {{ theme: {name!r} }})"
        self.page.evaluate(command)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def save(self):
        """Save it, and wait until the server has it."""
        # By the command of the menu, whose promise says when it is done: a key that comes while an earlier
        # save goes on does nothing.
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
