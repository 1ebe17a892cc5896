"""How the agent reaches its model: the API itself with a credential, or the gateway with a run key."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from ccnb import credentials
from ccnb.errors import SpecError
from ccnb.gateway import process as gateway
from ccnb.gateway import registration, script
from ccnb.mode.base import Image, Layout
from ccnb.redact import Secret
from ccnb.spec import RunSpec
from ccnb.store import Store


@dataclass(frozen=True)
class Access:
    """What a place is given so that its agent can ask the model. Exactly one credential is among it."""

    credential: dict[str, Secret]
    env: dict[str, str]
    socket_folder: Path | None = None
    """The folder of the gateway's socket, to be seen in the place."""


def needs_gateway(spec: RunSpec) -> bool:
    """Return whether the agent's model is reached through the gateway."""
    return spec.api_source != "live"


def check(spec: RunSpec) -> None:
    """See that the model can be reached, before anything is made.

    Raises
    ------
    CredentialError, ScriptError, SpecError
    """
    if spec.api_source in ("record", "replay"):
        raise SpecError(f"api {spec.api!r} isn't there yet; use live or script:NAME")
    if spec.auth not in (None, "env") and spec.mode != "fly":
        raise SpecError(f"auth {spec.auth!r} isn't there yet; use env")
    if needs_gateway(spec):
        script.load_script(spec.api.partition(":")[2])
        return
    if spec.network == "none":
        raise SpecError("network 'none' leaves the agent no model; use network='open' or api='script:NAME'")
    credentials.find()


def open_access(
    spec: RunSpec,
    *,
    run_id: str,
    store: Store,
    layout: Layout,
    image: Image,
    archive: bool,
    lifetime_s: float,
) -> Access:
    """Return a run's access to its model; the gateway is told of the run where it has a part.

    Raises
    ------
    CredentialError, GatewayError, SpecError
    """
    if not needs_gateway(spec):
        found = credentials.find()
        return Access({found.variable: found.value}, {})
    leave = registration.register(
        store.home, run_id, api=spec.api, workspace=layout.workspace, until=time.time() + lifetime_s
    )
    key = {"ANTHROPIC_API_KEY": Secret(leave.key)}
    if archive or image.api_by_tcp:
        return Access(key, {"ANTHROPIC_BASE_URL": _by_tcp(spec, store, image)})
    path = gateway.meeting(store.home).socket
    # A place without a path of its own for it (a plain process) sees the socket where it is.
    env = {"ANTHROPIC_UNIX_SOCKET": layout.api_socket or str(path), "ANTHROPIC_BASE_URL": "http://localhost"}
    return Access(key, env, path.parent)


def serve(spec: RunSpec, store: Store) -> None:
    """See that the gateway serves, if the run needs it.

    Raises
    ------
    GatewayError
    """
    if needs_gateway(spec):
        gateway.ensure(store.home)


def source_digest(spec: RunSpec) -> str | None:
    """Return a digest of the file that answers the agent; `None` where no file does."""
    name = spec.api.partition(":")[2]
    try:
        return hashlib.sha256(Path(name).expanduser().read_bytes()).hexdigest() if name else None
    except OSError:
        return None


def _by_tcp(spec: RunSpec, store: Store, image: Image) -> str:
    """Return the gateway's address for a place that can't see a socket of this machine."""
    if spec.network == "none":
        raise SpecError(
            "network 'none' can't be held here: this engine can't see the gateway's socket; "
            "use network='open'"
        )
    own = _own_address()
    bind, name = image.api_by_tcp or (own, own)
    return f"http://{name}:{gateway.ensure(store.home, tcp_host=bind).port}"


def _own_address() -> str:
    """Return the address by which this machine, or the container that we are in, is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # Nothing is sent: the kernel only chooses the interface.
        probe.connect(("10.255.255.255", 1))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
