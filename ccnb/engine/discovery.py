"""Where people have their engine's socket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Endpoint:
    """An engine's address and how it came to our notice."""

    url: str
    origin: str
    certificates: Path | None = None
    """A folder with `ca.pem`, `cert.pem` and `key.pem`, for an engine behind TLS."""

    @property
    def socket(self) -> Path | None:
        """Return the socket's path, when it is one of this machine's."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def remote(self) -> bool:
        """Return whether the engine is reached over a network that is more than this machine's own."""
        return self.socket is None and urlsplit(self.url).hostname not in ("localhost", "127.0.0.1", "::1")


def endpoints(kind: str) -> list[Endpoint]:
    """Return the addresses worth a try for `docker` or `podman`, the person's own choice first.

    Sockets that don't exist are left out, unless they were named by the person.
    """
    found: dict[str, Endpoint] = {}
    for endpoint, named in _docker() if kind == "docker" else _podman():
        if named or (endpoint.socket and endpoint.socket.exists()):
            found.setdefault(endpoint.url, endpoint)
    return list(found.values())


def _docker() -> Iterator[tuple[Endpoint, bool]]:
    if host := os.environ.get("DOCKER_HOST"):
        yield Endpoint(host, "DOCKER_HOST", _certificates()), True
        return
    if context := _docker_context():
        yield context, True
    home, runtime = Path.home(), _runtime_folder()
    places = {
        "/var/run/docker.sock": "the system's engine",
        f"{runtime}/docker.sock": "rootless Docker",
        f"{home}/.docker/run/docker.sock": "Docker Desktop",
        f"{home}/.docker/desktop/docker.sock": "Docker Desktop",
        f"{home}/.colima/default/docker.sock": "Colima",
        f"{home}/.config/colima/default/docker.sock": "Colima",
        f"{home}/.orbstack/run/docker.sock": "OrbStack",
        f"{home}/.rd/docker.sock": "Rancher Desktop",
    }
    for path, origin in places.items():
        yield Endpoint(f"unix://{path}", origin), False


def _podman() -> Iterator[tuple[Endpoint, bool]]:
    if host := os.environ.get("CONTAINER_HOST"):
        yield Endpoint(host, "CONTAINER_HOST"), True
        return
    if host := os.environ.get("DOCKER_HOST"):
        # Many point Docker's variable at Podman; `connect` looks who answers.
        yield Endpoint(host, "DOCKER_HOST"), False
    home, runtime = Path.home(), _runtime_folder()
    machine = f"{home}/.local/share/containers/podman/machine"
    places = {
        f"{runtime}/podman/podman.sock": "rootless Podman",
        "/run/podman/podman.sock": "rootful Podman",
        f"{machine}/podman.sock": "podman machine",
        f"{machine}/qemu/podman.sock": "podman machine",
        f"{machine}/podman-machine-default/podman.sock": "podman machine",
    }
    for path, origin in places.items():
        yield Endpoint(f"unix://{path}", origin), False
    if socket := _podman_machine_socket():
        yield Endpoint(f"unix://{socket}", "podman machine"), False


def _runtime_folder() -> str:
    return os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"


def _docker_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _certificates() -> Path | None:
    """Return the folder that Docker's own variables name; either of them asks for TLS."""
    named = os.environ.get("DOCKER_CERT_PATH")
    if not named and not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return Path(named) if named else _docker_folder()


def _docker_context() -> Endpoint | None:
    """Return the engine of the current docker context, unless that is the default one."""
    folder = _docker_folder()
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        name = name or json.loads((folder / "config.json").read_text()).get("currentContext")
        if not name or name == "default":
            return None
        for file in (folder / "contexts" / "meta").glob("*/meta.json"):
            meta = json.loads(file.read_text())
            if meta.get("Name") == name:
                tls = folder / "contexts" / "tls" / file.parent.name / "docker"
                host = meta["Endpoints"]["docker"]["Host"]
                return Endpoint(host, f"docker context {name!r}", tls if tls.is_dir() else None)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return None


def _podman_machine_socket() -> str | None:
    """Ask podman itself, on systems where its engine lies in a virtual machine."""
    if os.uname().sysname == "Linux" or not shutil.which("podman"):
        return None
    ask = ["podman", "machine", "inspect", "--format", "{{.ConnectionInfo.PodmanSocket.Path}}"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip().partition("\n")[0] or None
