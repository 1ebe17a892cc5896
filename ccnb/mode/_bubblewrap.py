"""The wall around a local process: what it sees, and whether bubblewrap can be used at all."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from ccnb.mode.base import AGENT_UID, Layout, Plan

LAYOUT = Layout(inside="/ccnb", workspace="/workspace", api_socket="/run/ccnb-api/api.sock")
_PROGRAM = "/opt/ccnb/claude"
# Ours first: this machine's own folders may hold another one, which nobody asked for.
PATH = "/opt/ccnb:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PROGRAM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_SETTINGS = (
    "alternatives",
    "ca-certificates",
    "gitconfig",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "nsswitch.conf",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
)
"""Of /etc only what programs need to run; nothing that tells of this machine's people."""


@cache
def fault() -> str | None:
    """Return why bubblewrap can't be used here, or `None`. Being installed is not enough: it is run."""
    if not shutil.which("bwrap"):
        return "bubblewrap isn't installed"
    try:
        done = subprocess.run(
            ["bwrap", *_namespaces(network=False), *_system(), "true"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap can't be run ({error})"
    return f"bubblewrap is denied ({done.stderr.strip()})" if done.returncode else None


@cache
def version() -> str:
    """Return bubblewrap's version."""
    done = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().rpartition(" ")[2]


def argv(plan: Plan) -> list[str]:
    """Return the command of a run behind the wall. Its environment is not in it: that is inherited."""
    layout = plan.layout
    # This machine's network is open to a process or closed, all of it; a script has no use for it.
    network = plan.spec.network == "open" and plan.spec.api_source != "script"
    command = ["bwrap", *_namespaces(network=network), *_system()]
    command += ["--bind", str(plan.folder.inside), layout.inside]
    command += ["--bind", str(plan.workspace), layout.workspace]
    command += ["--ro-bind", plan.image.reference, _PROGRAM]
    if plan.api_folder is not None:
        command += ["--ro-bind", str(plan.api_folder), str(Path(layout.api_socket).parent)]
    return [*command, "--chdir", layout.workspace, "--", "sh", *plan.command]


def enter(process: psutil.Process, command: Sequence[str]) -> list[str]:
    """Return a command that runs another one in the namespaces of a run."""
    inner = process
    # It may end at this moment; then the command says so.
    with suppress(psutil.NoSuchProcess):
        for child in process.children():
            inner = child
    spaces = ["--user", "--preserve-credentials", "--mount", "--pid", "--net", "--ipc", "--uts"]
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', LAYOUT.workspace, *command]
    return ["nsenter", f"--target={inner.pid}", *spaces, "--", *inside]


def _namespaces(*, network: bool) -> list[str]:
    options = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not network:
        options.append("--unshare-net")
    if os.getuid() == 0:
        # The agent refuses to skip permissions as root. Outside, what it makes is root's all the same.
        options += [f"--uid={AGENT_UID}", f"--gid={AGENT_UID}"]
        options = [word for option in options for word in option.split("=")]
    return [*options, "--hostname", "ccnb"]


def _system() -> list[str]:
    """Return the mounts that every run has: programs and a few settings, read-only, and fresh folders."""
    command: list[str] = []
    for name in _PROGRAM_FOLDERS:
        path = Path(name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            command += ["--ro-bind", name, name]
    for name in _SETTINGS:
        if (Path("/etc") / name).exists():
            command += ["--ro-bind", str((Path("/etc") / name).resolve()), f"/etc/{name}"]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - the place's own
