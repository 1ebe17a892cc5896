"""The peers' packages, each in a virtual environment of its own under `.venv-peers`: none is a dependency."""

from __future__ import annotations

import os
import subprocess
import venv
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(os.environ.get("CCNB_PEERS", ".venv-peers"))
_INSTALL_S = 600


@dataclass(frozen=True)
class Peer:
    """A package from the index, and how it is called."""

    package: str
    module: str
    why: str = ""
    """Why it can't be used, in the words of what was tried last."""
    version: str = ""
    needs: tuple[str, ...] = ()
    """What it says it needs for what is measured here, and doesn't bring."""

    @property
    def python(self) -> Path:
        """Return the interpreter of its environment."""
        return FOLDER / self.package / "bin" / "python"


MINI = Peer("mini-swe-agent", "minisweagent")
SDK = Peer("claude-agent-sdk", "claude_agent_sdk")
INSPECT = Peer("inspect-ai", "inspect_ai", needs=("pandas", "pyarrow"))
ALL = (MINI, SDK, INSPECT)


def install(peer: Peer) -> Peer:
    """Install a peer if need be; return it with its version, or with the reason why it can't be had."""
    wanted = (peer.package, *peer.needs)
    try:
        if not peer.python.exists():
            venv.create(peer.python.parents[1], with_pip=True)
        if all(_version(peer, name) for name in wanted):
            return replace(peer, version=_version(peer, peer.package))
        pip = [str(peer.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, *wanted], capture_output=True, check=False, text=True, timeout=_INSTALL_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return replace(peer, why=f"its environment could not be made ({error})")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        return replace(peer, why=(said or ["pip failed"])[-1].removeprefix("ERROR: "))
    return replace(peer, version=_version(peer, peer.package))


def _version(peer: Peer, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(peer.python), "-c", code], check=False, capture_output=True, text=True)
    return done.stdout.strip()
