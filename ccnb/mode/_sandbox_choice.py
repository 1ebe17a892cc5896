"""Which of Docker's two programs makes the sandboxes here, and which has made one."""

from __future__ import annotations

from collections.abc import Iterator

from ccnb.errors import EngineError, ModeUnavailableError
from ccnb.mode._docker_sandbox import DockerSandbox
from ccnb.mode._sandbox_program import Sandbox, SandboxProgram
from ccnb.mode._sbx import Sbx

_PROGRAMS: tuple[type[SandboxProgram], ...] = (Sbx, DockerSandbox)
"""The first that is installed is taken."""


def chosen() -> SandboxProgram:
    """Return the program by which sandboxes are made here.

    Raises
    ------
    ModeUnavailableError
    """
    for program in _PROGRAMS:
        if program.is_installed():
            return program()
    raise ModeUnavailableError(
        "neither sbx nor docker is installed; install sbx (docs.docker.com/ai/sandboxes), or Docker Desktop "
        "4.58 or newer"
    )


def named(name: str) -> SandboxProgram:
    """Return the program that made a place, whatever has been installed since."""
    return next(program for program in _PROGRAMS if program.name == name)()


def everyone() -> Iterator[tuple[SandboxProgram, Sandbox]]:
    """Yield what both programs have: a sandbox stays with the one that made it.

    Raises
    ------
    EngineError
        The program that makes sandboxes here doesn't say.
    """
    usual = chosen().name
    for kind in _PROGRAMS:
        program = kind()
        if not program.is_installed():
            continue
        try:
            listing = program.listing()
        except EngineError:
            if program.name == usual:
                raise
            continue
        for sandbox in listing:
            yield program, sandbox
