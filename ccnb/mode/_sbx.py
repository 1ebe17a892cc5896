"""The standalone program `sbx`: before version 1, with a new release nearly every week."""

from __future__ import annotations

from collections.abc import Sequence

from ccnb.errors import EngineError
from ccnb.mode._sandbox_program import SandboxProgram

_SERVICE = "anthropic"


class Sbx(SandboxProgram):
    """Docker's own successor of `docker sandbox`; macOS, Windows, and Linux with KVM."""

    name = "sbx"
    command = ("sbx",)
    restart = "run `sbx daemon restart`"
    remove_options = ("--force",)
    takes_limits = True

    def allow(self, name: str, hosts: Sequence[str]) -> None:
        """Let a sandbox reach some hosts, by a rule of its own."""
        listed = ",".join(hosts)
        said = self.call("policy", "allow", "network", "--sandbox", name, listed)
        if said.code and "unknown flag" in said.text:
            # Before there was the option, the name stood before the hosts.
            said = self.call("policy", "allow", "network", name, listed)
        self.expect(said, "policy")

    def credential_notes(self) -> list[str]:
        """Look whether a secret for Anthropic's API is stored. No value is ever printed by that."""
        try:
            said = self.call("secret", "ls")
        except EngineError as error:
            return [error.message]
        if said.code == 0 and _SERVICE in said.output.decode(errors="replace").lower():
            return []
        return [
            "sbx lists no secret for its proxy to add: run `sbx secret set anthropic` once, "
            "or sign in to Claude in a sandbox; auth='env' passes your own token instead"
        ]
