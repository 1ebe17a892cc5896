"""The standalone program `sbx`: before version 1, with a new release nearly every week."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ccnb.errors import EngineError, ModeUnavailableError
from ccnb.mode._sandbox_call import NOT_SIGNED_IN, first_json
from ccnb.mode._sandbox_program import SandboxProgram

_USUALLY_ALLOWED = ("github.com", "nothing.example")
"""One that the policy `balanced` allows, and one that only `allow-all` does."""
_SERVICE = "anthropic"
_NOTHING_STORED = (
    "sbx lists no secret for its proxy to add: run `sbx secret set anthropic` once, or sign in to Claude in "
    "a sandbox; auth='env' passes your own token instead"
)


_KVM = "/dev/kvm"


class Sbx(SandboxProgram):
    """Docker's own successor of `docker sandbox`; macOS, Windows, and Linux with KVM."""

    name = "sbx"
    command = ("sbx",)
    restart = "run `sbx daemon restart`"
    remove_options = ("--force",)
    takes_limits = True

    def check(self) -> str:
        """Return the version, having seen that virtual machines can be made and the daemon answers."""
        if sys.platform == "linux":
            _open_kvm(os.environ.get("CCNB_KVM", _KVM))
        return super().check()

    def examine(self) -> str:
        """Return the version, having seen that the person is signed in and has chosen a network policy."""
        version = self.check()
        found = first_json(self.call("diagnose", "--output", "json").output) or {}
        for check in found.get("checks") or []:
            if "auth" in str(check.get("name")).lower() and check.get("status") == "fail":
                raise ModeUnavailableError(NOT_SIGNED_IN.format(name=self.name))
        said = self.call("policy", "ls")
        trouble = self.known_trouble(said) if said.code else None
        if trouble is not None:
            raise ModeUnavailableError(trouble)
        return version

    def allow(self, name: str, hosts: Sequence[str]) -> None:
        """Let a sandbox reach some hosts, by a rule of its own."""
        listed = ",".join(hosts)
        said = self.call("policy", "allow", "network", "--sandbox", name, listed)
        if said.code and "unknown flag" in said.text:
            # Before there was the option, the name stood before the hosts.
            said = self.call("policy", "allow", "network", name, listed)
        self.expect(said, "policy")

    def close(self, name: str, hosts: Sequence[str]) -> None:
        """Allow some hosts, having seen that all others are denied already.

        A denial of one sandbox's goes before its allowances, so none can be made for all the rest.
        """
        for host in _USUALLY_ALLOWED:
            if not self.denies(host, "--sandbox", name):
                raise EngineError(
                    f"sbx lets every sandbox reach more than is listed here, such as {host}; choose Locked "
                    "Down by `sbx policy reset`, or use mode docker"
                )
        self.allow(name, hosts)

    def denies(self, host: str, *options: str) -> bool:
        """Return whether a host is denied to a sandbox, or without one, by the person's own policy."""
        return b"Denied" in self.call("policy", "check", "network", *options, host).output

    def requests(self, name: str) -> bytes:
        """Return the log of a sandbox's requests."""
        said = self.call("policy", "log", name, "--json")
        self.expect(said, "policy log")
        return said.output

    def credential_notes(self) -> list[str]:
        """Look whether a secret for Anthropic's API is stored. No value is ever printed by that."""
        try:
            said = self.call("secret", "ls")
        except EngineError as error:
            return [error.message]
        if said.code == 0 and _SERVICE in said.output.decode(errors="replace").lower():
            return []
        return [_NOTHING_STORED]


def _open_kvm(device: str) -> None:
    """See that Linux gives us what virtual machines are made by.

    Raises
    ------
    ModeUnavailableError
    """
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise ModeUnavailableError(
            f"sbx makes virtual machines, and this machine has no {device}; turn virtualisation on in its "
            "firmware, or use mode docker"
        ) from None
    except OSError as error:
        raise ModeUnavailableError(
            f"sbx makes virtual machines, and {device} can't be opened ({error.strerror}); run "
            "`sudo usermod -aG kvm $USER` and log in again, or use mode docker"
        ) from None
