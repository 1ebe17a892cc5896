"""The double of Docker's sandboxes, set up for a test: a folder for its state, its programs first on PATH."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ccnb.engine import connect
from ccnb.engine import images as engine_images
from tests import images

PROGRAMS = Path(__file__).parent / "doubles" / "sandbox" / "bin"
AGENT_UID = 52018
REPOSITORY = "localhost/ccnb-test-sandbox"


class Sandboxes:
    """What a test does to the double; each test has sandboxes of its own."""

    def __init__(self, monkeypatch) -> None:
        self._monkeypatch = monkeypatch
        self._path = os.environ["PATH"]
        self.folder = Path(tempfile.mkdtemp(prefix="ccnb-double-"))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        monkeypatch.setenv("CCNB_DOUBLE", str(self.folder))
        # The double's sandboxes are no virtual machines.
        monkeypatch.setenv("CCNB_KVM", os.devnull)

    def use(self, program: str) -> None:
        """Make one of the programs the one that is found: `sbx`, or `docker` with its plugin."""
        self._monkeypatch.setenv("CCNB_DOUBLE_TEMPLATE", template(program_image()))
        self.install(program)
        if program == "sbx":
            self.call("policy", "init", "balanced")

    def shut(self) -> None:
        """Let the person's own policy, where the program has one, allow nothing."""
        if (self.bin / "sbx").exists():
            self.call("policy", "init", "deny-all")

    def install(self, *programs: str) -> None:
        """Put programs of the double first on PATH."""
        for program in programs:
            (self.bin / program).symlink_to(PROGRAMS / program)
        self._monkeypatch.setenv("PATH", f"{self.bin}:{self._path}")

    def call(self, *arguments: str, program: str = "sbx", text: str = "") -> str:
        """Run a program of the double."""
        done = subprocess.run(
            [PROGRAMS / program, *arguments], input=text, capture_output=True, text=True, check=True
        )
        return done.stdout

    def faults(self, *lines: str) -> None:
        """Switch faults on, and all others off."""
        (self.folder / "faults").write_text("".join(f"{line}\n" for line in lines))

    @property
    def names(self) -> list[str]:
        """Return the sandboxes that are there, and the containers that are left of any."""
        containers = f"name=ccnb-double-{self.folder.stat().st_ino}-"
        listed = subprocess.run(
            ["docker", "ps", "-aq", "--filter", containers], capture_output=True, text=True, check=True
        )
        return [*(file.stem for file in self.folder.glob("*.sandbox")), *listed.stdout.split()]

    def clear(self) -> None:
        """Remove what is left."""
        self.faults()
        for file in self.folder.glob("*.sandbox"):
            # A run's own removal, behind its result, may be first.
            with suppress(subprocess.CalledProcessError):
                self.call("rm", "--force", file.stem)
        assert not list(self.folder.glob("*.sandbox"))
        # That one may still be at its last files.
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def template(base: str) -> str:
    """Return a template for sandboxes with what an image has: its user is `agent`, as in Docker's own."""
    engine = connect("docker")
    name = f"{REPOSITORY}:{base.rpartition('/')[2].replace(':', '-')}"
    recipe = (
        f"FROM {base}\nUSER root\nRUN useradd --create-home --uid {AGENT_UID} --user-group agent\n"
        "USER agent\nWORKDIR /home/agent\n"
    )
    return images.build(engine, name, fileobj=io.BytesIO(recipe.encode()))


@cache
def program_image() -> str:
    """Return the project's own image, which has the real agent."""
    engine = connect("docker")
    name = engine_images.default_reference()
    if engine_images.inspect(engine, name) is None:
        engine_images.build(engine, lambda _: None)
    return name
