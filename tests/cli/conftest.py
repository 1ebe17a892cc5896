"""The real command in a process of its own, with and without a terminal."""

from __future__ import annotations

import codecs
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "ccnb")


@dataclass
class Done:
    """How the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(home):
    """Return a function that runs `ccnb` with a store of its own."""

    def run(*arguments, stdin="", **env) -> Done:
        full = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        full |= {"CCNB_HOME": str(home), **env}
        done = subprocess.run(
            [COMMAND, *arguments],
            env=full,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@dataclass
class Terminal:
    """The command in a terminal of its own."""

    process: int
    screen: int
    seen: str = ""
    code: int | None = field(default=None)
    # What is read may end within a character.
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def press(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def wait_for(self, words: str, limit_s: float = 60) -> str:
        """Read the screen until some words are on it."""
        until = time.monotonic() + limit_s
        while words not in self.seen:
            assert time.monotonic() < until, f"{words!r} didn't come; the screen has: {self.seen}"
            assert self._read(), f"it ended without {words!r}; the screen has: {self.seen}"
        return self.seen

    def end(self, limit_s: float = 60) -> int:
        """Read the screen until the command has ended; return its exit code."""
        until = time.monotonic() + limit_s
        while self._read():
            assert time.monotonic() < until, f"it didn't end; the screen has: {self.seen}"
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.screen], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self.screen, 65_536)
        except OSError:
            return False
        self.seen += self._decoder.decode(data)
        return bool(data)


@pytest.fixture
def terminal(home):
    """Return a function that runs `ccnb` in a terminal."""

    def run(*arguments) -> Terminal:
        process, screen = pty.fork()
        if process == 0:
            env = {
                **os.environ,
                "CCNB_HOME": str(home),
                "TERM": "xterm-256color",
                "COLUMNS": "100",
                "PS1": "$ ",
            }
            os.execve(COMMAND, [COMMAND, *arguments], env)  # noqa: S606 - no shell is wanted
        return Terminal(process, screen)

    return run


@pytest.fixture
def task(agent):
    """Return options of `ccnb run` in a mode, with an agent that runs some shell commands."""

    def options(mode: str, commands: str, *more: str) -> list[str]:
        given = agent(mode, commands)
        image = ["--image", given["image"]] if "image" in given else []
        return ["run", "-m", mode, "--api", given["api"], "--env", f"AGENT={commands}", *image, *more]

    return options
