"""A client of its own for each contestant: a process that is asked for one thing after another."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

PROGRAMS = Path(__file__).parent / "programs"
ASKED_S = 300


class ContestantError(Exception):
    """A contestant could not do what it was asked for."""


class Child:
    """A program of `programs`, in an interpreter and an environment of its choice."""

    def __init__(self, program: str, python: Path | str, env: Mapping[str, str]) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [str(python), str(PROGRAMS / f"{program}.py")],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def ask(self, what: str, **given: Any) -> Any:
        """Return what the program gives for it.

        Raises
        ------
        ContestantError
            It failed, ended, or took longer than `ASKED_S`.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watch = threading.Timer(ASKED_S, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(json.dumps({"do": what, "with": given}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line:
            raise ContestantError(f"the client ended, or took longer than {ASKED_S} s {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise ContestantError(answer["failed"])
        return answer["got"]

    def _last_words(self) -> str:
        self._said.seek(0)
        return f"({(self._said.read().splitlines() or ['it said nothing'])[-1]})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._said.close()
