"""Docker Desktop's `docker sandbox`, from 4.58 on; before that it made containers, with another grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ccnb.errors import EngineError, ModeUnavailableError
from ccnb.mode._sandbox_call import look_s, run_program
from ccnb.mode._sandbox_program import SandboxProgram

_NO_PLUGIN = ("unknown command", "is not a docker command")
_START_UP_FILES = (".zshenv", ".zprofile", ".zshrc", ".bash_profile", ".bashrc", ".profile")
_LOG_LIMIT = "10000"
_VARIABLE = "ANTHROPIC_API_KEY"
_DESKTOP = re.compile(r"Docker Desktop (\d+)\.(\d+)\.(\d+)")


class DockerSandbox(SandboxProgram):
    """The plugin of Docker Desktop; macOS and Windows. Docker means it to be replaced by `sbx`."""

    name = "docker sandbox"
    command = ("docker", "sandbox")
    restart = "start Docker Desktop, or restart it"

    def check(self) -> str:
        """Return the plugin's version, having told it from the old one, and seen that it works."""
        said = self.call("version")
        if said.code and any(sign in said.text for sign in _NO_PLUGIN):
            raise ModeUnavailableError(
                "docker has no command `sandbox` here; install sbx (docs.docker.com/ai/sandboxes), "
                "or Docker Desktop 4.58 or newer"
            )
        usage = self.call("create", "--help")
        if usage.code or "docker sandbox create" not in usage.output.decode(errors="replace"):
            raise ModeUnavailableError(
                f"this `docker sandbox` ({said.text}) makes containers, not microVMs, as Docker Desktop 4.50 "
                "to 4.57 did; update to Docker Desktop 4.58 or newer, or install sbx"
            )
        return super().check()

    def allow(self, name: str, hosts: Sequence[str]) -> None:
        """Let a sandbox reach some hosts, by the rules of its own proxy."""
        options = [word for host in hosts for word in ("--allow-host", host)]
        self.expect(self.call("network", "proxy", name, *options), "network proxy")

    def close(self, name: str, hosts: Sequence[str]) -> None:
        """Deny all but some hosts."""
        options = [word for host in hosts for word in ("--allow-host", host)]
        self.expect(self.call("network", "proxy", name, "--policy", "deny", *options), "network proxy")

    def requests(self, name: str) -> bytes:
        """Return the log of all sandboxes' requests."""
        said = self.call("network", "log", "--json", "--limit", _LOG_LIMIT)
        self.expect(said, "network log")
        return said.output

    def credential_notes(self) -> list[str]:
        """Look where Docker Desktop looks: in the shell's start-up files, for the variable's name alone."""
        files = [Path.home() / name for name in _START_UP_FILES]
        notes = [*self._known_bugs()]
        if not any(_VARIABLE in _read(file) for file in files):
            notes.append(
                f"Docker Desktop's proxy adds {_VARIABLE} from your shell's start-up file; it isn't there: "
                "write it there and restart Docker Desktop; a subscription's token is passed by auth='env'"
            )
        return notes

    def _known_bugs(self) -> list[str]:
        try:
            said = run_program(
                ["docker", "version", "--format", "{{.Server.Platform.Name}}"], look_s(), self.restart
            )
        except EngineError:
            return []
        found = _DESKTOP.search(said.output.decode(errors="replace"))
        version = tuple(map(int, found.groups())) if found else (99,)
        if version in ((4, 58, 0), (4, 58, 1)):
            return [
                "Docker Desktop 4.58.0 and 4.58.1 break sign-in by OAuth (401 Invalid bearer token); update"
            ]
        if version < (4, 61, 0):
            return ["Docker Desktop before 4.61 may go on adding an API key that you have replaced; update"]
        return []

    @property
    def diagnose(self) -> str:
        """Return the command by which a person looks further."""
        return "docker sandbox ls"


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
