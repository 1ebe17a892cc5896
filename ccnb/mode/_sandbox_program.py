"""What is asked of Docker's two programs for sandboxes, in the words that they have in common."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from ccnb.errors import EngineError, ModeUnavailableError, StartError
from ccnb.mode._sandbox_call import Answer, first_json, known_trouble, look_s, run_program, says_not_there

_CREATE = 60
"""How many times longer than a look it may take; the first sandbox has its template pulled."""
_EXEC = 8
_REMOVE = 4
_CREATE_TRIES = 3
_PAUSE_S = 0.5

_VERSION = re.compile(r"v?(\d+\.\d+\.\d+\S*)")


@dataclass(frozen=True)
class Sandbox:
    """A sandbox as a listing has it."""

    name: str
    status: str
    """By the program's word, which may be out of date."""
    folders: tuple[str, ...]


class SandboxProgram:
    """One of the two programs; the other one's grammar is a subclass's."""

    name: ClassVar[str]
    command: ClassVar[tuple[str, ...]]
    restart: ClassVar[str]
    """What a person does when its daemon doesn't answer."""
    remove_options: ClassVar[tuple[str, ...]] = ()
    takes_limits: ClassVar[bool] = False

    @classmethod
    def is_installed(cls) -> bool:
        """Return whether there is such a program on PATH."""
        return shutil.which(cls.command[0]) is not None

    def check(self) -> str:
        """Return the version, having seen that the program and its daemon answer.

        Raises
        ------
        ModeUnavailableError
            They don't; the message says what to do.
        """
        version = self.version()
        self.listing()
        return version

    def examine(self) -> str:
        """Return the version, having seen all that can be seen without making a sandbox.

        Raises
        ------
        ModeUnavailableError
        """
        return self.check()

    def version(self) -> str:
        """Return what the program says of its version; `?` when there is none in it."""
        said = self.call("version")
        self.expect(said, "version")
        found = _VERSION.search(said.output.decode(errors="replace"))
        return found[1] if found else "?"

    def listing(self) -> list[Sandbox]:
        """Return all sandboxes.

        Raises
        ------
        EngineError
        """
        said = self.call("ls", "--json")
        self.expect(said, "ls")
        value = first_json(said.output)
        if value is None:
            raise self.error("ls", said)
        # Both keys have been seen from one program, depending on whether there is anything to list.
        rows = value.get("sandboxes") or value.get("vms") or []
        return [_sandbox(row) for row in rows if isinstance(row, dict) and row.get("name")]

    def create(
        self,
        name: str,
        folders: Sequence[str],
        *,
        image: str | None,
        limits: Sequence[str] = (),
        held: int | None = None,
    ) -> None:
        """Make and start a sandbox that sees some folders at their own paths.

        It fails now and then for no reason and works a moment later, so it is tried again.

        Raises
        ------
        ModeUnavailableError, StartError
        """
        options = ["--name", name, *(["--template", image] if image else []), *limits]
        for left in reversed(range(_CREATE_TRIES)):
            try:
                said = self.call("create", *options, "claude", *folders, looks=_CREATE, held=held)
            except EngineError:
                self._remove_rest(name)
                raise
            if said.code == 0:
                return
            self._remove_rest(name)
            known = self.known_trouble(said)
            if known is not None:
                raise ModeUnavailableError(known)
            if left:
                time.sleep(_PAUSE_S)
        raise StartError(
            f"{self.name} made no sandbox in {_CREATE_TRIES} tries ({said.text}); run `{self.diagnose}`"
        )

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        workdir: str,
        *,
        merged: bool = False,
        held: int | None = None,
    ) -> Answer:
        """Run a command in a sandbox and wait for it. A stopped sandbox may be started by that."""
        return self.call("exec", "-w", workdir, name, *argv, looks=_EXEC, merged=merged, held=held)

    def shell(self, name: str, argv: Sequence[str], workdir: str) -> list[str]:
        """Return the command that runs something in a sandbox on the caller's terminal."""
        return [*self.command, "exec", "-i", "-t", "-w", workdir, name, *argv]

    def stop(self, name: str) -> None:
        """End all that runs in a sandbox; harmless when it is stopped, or gone.

        Raises
        ------
        EngineError
        """
        said = self.call("stop", name, looks=_REMOVE)
        if said.code and any(s.name == name and s.status == "running" for s in self.listing()):
            raise self.error("stop", said)

    def remove(self, name: str) -> None:
        """End all that runs in a sandbox and remove it; harmless when it is gone.

        Raises
        ------
        EngineError
        """
        self.call("stop", name, looks=_REMOVE)
        # An older or newer one may ask whether we are sure.
        said = self.call("rm", *self.remove_options, name, looks=_REMOVE, answer=b"y\n")
        if said.code and not says_not_there(said) and any(s.name == name for s in self.listing()):
            raise self.error("rm", said)

    def _remove_rest(self, name: str) -> None:
        with suppress(EngineError):
            self.remove(name)

    def allow(self, name: str, hosts: Sequence[str]) -> None:
        """Let a sandbox reach some hosts.

        Raises
        ------
        EngineError
        """
        raise NotImplementedError

    def close(self, name: str, hosts: Sequence[str]) -> None:
        """Let a sandbox reach some hosts, each with its port, and nothing else.

        Raises
        ------
        EngineError
            It can't be held; the sandbox is still there.
        """
        raise NotImplementedError

    def requests(self, name: str) -> bytes:
        """Return what the program has written down of a sandbox's requests, as it prints it.

        Raises
        ------
        EngineError
        """
        raise NotImplementedError

    def credential_notes(self) -> list[str]:
        """Return what the person has to do once so that the program's proxy adds a credential."""
        raise NotImplementedError

    @property
    def diagnose(self) -> str:
        """Return the command by which a person looks further."""
        return "sbx diagnose"

    def call(
        self,
        *arguments: str,
        looks: int = 1,
        answer: bytes = b"",
        merged: bool = False,
        held: int | None = None,
    ) -> Answer:
        """Run the program, never on a terminal.

        Parameters
        ----------
        looks
            How many times longer than a mere look it may take.
        answer
            What to say when it asks.
        merged
            Whether to take errors and output as one.
        held
            A file to keep open for as long as it runs.

        Raises
        ------
        EngineError
            It isn't there, or doesn't answer within its limit.
        """
        argv = [*self.command, *arguments]
        limit_s = looks * look_s()
        return run_program(argv, limit_s, self.restart, answer=answer, merged=merged, held=held)

    def expect(self, said: Answer, what: str) -> None:
        """See that a call went well.

        Raises
        ------
        EngineError
        """
        if said.code:
            raise self.error(what, said)

    def error(self, what: str, said: Answer) -> EngineError:
        """Return the error of a call that didn't go well."""
        known = self.known_trouble(said)
        return EngineError(
            known or f"`{self.name} {what}` said: {said.text or 'nothing'}; run `{self.diagnose}`"
        )

    def known_trouble(self, said: Answer) -> str | None:
        """Return the sentence for trouble that has been seen before; `None` for any other."""
        return known_trouble(said, self.name, self.restart)


def _sandbox(row: dict[str, Any]) -> Sandbox:
    folders = [str(folder).removesuffix(":ro") for folder in row.get("workspaces") or []]
    return Sandbox(str(row["name"]), str(row.get("status") or "").lower(), tuple(folders))
