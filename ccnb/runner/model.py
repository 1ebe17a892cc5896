"""How the agent reaches its model: the API itself with a credential, or the gateway with a run key."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from ccnb import credentials, network
from ccnb import mode as modes
from ccnb.errors import GatewayError, SpecError
from ccnb.gateway import cassette, registration, script
from ccnb.gateway import process as gateway
from ccnb.gateway.meeting import meeting
from ccnb.gateway.upstream import API_URL, Pass, Upstream, api_url
from ccnb.mode.base import Image, Layout
from ccnb.redact import Secret
from ccnb.runner import egress
from ccnb.spec import RunSpec
from ccnb.store import Store


@dataclass(frozen=True)
class Access:
    """What a place is given so that its agent can ask the model. Exactly one credential is among it."""

    credential: dict[str, Secret]
    env: dict[str, str]
    socket_folder: Path | None = None
    """The folder of the gateway's sockets, to be seen in the place."""
    hidden: dict[str, str] = field(default_factory=dict, repr=False)
    """More that must not show: parts of `env`, each with a name."""


def needs_gateway(spec: RunSpec) -> bool:
    """Return whether the agent's model is reached through the gateway; the spec is settled."""
    return spec.api_source != "live" or spec.auth == "gateway"


def needs_credential(spec: RunSpec) -> bool:
    """Return whether the model itself answers."""
    return spec.api_source in ("live", "record")


def settle(spec: RunSpec) -> RunSpec:
    """Return a spec in which nothing depends on the caller's folder or environment any more.

    Raises
    ------
    CredentialError
    """
    source, _, name = spec.api.partition(":")
    if source in ("record", "replay"):
        spec = replace(spec, api=f"{source}:{Path(name).expanduser().absolute()}")
    if needs_credential(spec) and spec.auth is None:
        spec = replace(spec, auth=_default_auth(spec))
    return spec


def check(spec: RunSpec) -> list[str]:
    """See that the model can be reached, before anything is made; return what should be known of it.

    The spec is settled.

    Raises
    ------
    CassetteError, CredentialError, ScriptError, SpecError
    """
    known = modes.auths(spec.mode)
    _check_auth(spec, known)
    match spec.api_source:
        case "script":
            script.load_script(spec.api.partition(":")[2])
        case "replay":
            cassette.load(_file(spec))
        case "record":
            _check_recording(spec)
    if not needs_credential(spec):
        return []
    if spec.auth == "env" and spec.network != "open" and "gateway" in known:
        raise SpecError(
            f"network {network.shown(spec.network)} leaves no way to the model but the gateway, which "
            "auth='env' doesn't take; use auth='gateway', or api='script:NAME'"
        )
    if not needs_gateway(spec) and spec.budget_group is not None:
        raise SpecError("only the gateway can hold one budget over several runs; use auth='gateway'")
    if not needs_gateway(spec) and spec.budget_tokens is not None:
        raise SpecError("only the gateway can hold budget_tokens; use auth='gateway', or budget_usd")
    if spec.auth == "host":
        return []
    if needs_gateway(spec):
        Upstream.from_environment()
    else:
        api_url()
    return credentials.preflight(timeout_s=spec.timeout_s)


def _check_auth(spec: RunSpec, known: tuple[str, ...]) -> None:
    if spec.api_source == "record" and "gateway" not in known:
        raise SpecError(
            f"api {spec.api!r} needs the gateway beside the place, which mode {spec.mode} hasn't; "
            "use a mode on this machine such as docker"
        )
    if spec.auth is not None and spec.auth not in known:
        raise SpecError(f"auth {spec.auth!r} can't be used in mode {spec.mode}; use {' or '.join(known)}")


def _check_recording(spec: RunSpec) -> None:
    if spec.auth in ("env", "host"):
        raise SpecError(f"auth={spec.auth!r} keeps the gateway out, and only that can record; leave auth out")
    file = _file(spec)
    if spec.workspace is not None and not spec.copy and file.is_relative_to(spec.workspace):
        raise SpecError(
            f"{file} lies in the workspace, where the agent could change it; record to a file outside"
        )
    cassette.check_new(file)


def _file(spec: RunSpec) -> Path:
    """Return the cassette, or the script, of a spec."""
    name = spec.api.partition(":")[2]
    return cassette.split_pace(name)[0] if spec.api_source == "replay" else Path(name).expanduser()


def _default_auth(spec: RunSpec) -> str:
    """Return `host` where the mode has it, else `gateway` where nothing speaks against it.

    A subscription's token is meant for Claude Code alone, by the vendor's terms: that another program adds it
    to a request is not for us to begin. Who asks for a recording asks for just that.
    """
    if spec.api_source == "live":
        for own in ("host", "secret"):
            if own in modes.auths(spec.mode):
                return own
    if spec.api_source == "record" or credentials.find().variable == "ANTHROPIC_API_KEY":
        return "gateway"
    return "env"


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
    CassetteError, CredentialError, GatewayError, SpecError
    """
    if image.injects:
        return Access({}, {})
    if not needs_gateway(spec):
        found = credentials.find()
        url = api_url()
        return Access({found.variable: found.value}, {} if url == API_URL else {"ANTHROPIC_BASE_URL": url})
    earlier = registration.read(store.home, run_id)
    leave = registration.register(
        store.home,
        run_id,
        api=spec.api,
        workspace=layout.workspace,
        until=time.time() + lifetime_s,
        hosts=spec.hosts,
        variable=_variable(spec),
        run_folder=layout.inside,
        budget_usd=spec.budget_usd,
        budget_tokens=spec.budget_tokens,
        budget_group=spec.budget_group,
        earlier=earlier,
    )
    if spec.api_source == "record" and not (earlier and _file(spec).exists()):
        # Not again when the same run makes its place a second time.
        cassette.begin(_file(spec), leave.variable)
    key = {leave.variable: Secret(leave.key)}
    if archive or image.api_by_tcp:
        return Access(key, {"ANTHROPIC_BASE_URL": _by_tcp(spec, store, image)})
    path = meeting(store.home).socket
    # A place without a path of its own for it (a plain process) sees the socket where it is.
    env = {"ANTHROPIC_UNIX_SOCKET": layout.api_socket or str(path), "ANTHROPIC_BASE_URL": "http://localhost"}
    if not spec.hosts:
        return Access(key, env, path.parent)
    env |= egress.environment(leave, layout.api_socket)
    return Access(key, env, path.parent, egress.secrets(leave))


def close_access(spec: RunSpec, run_id: str, store: Store) -> None:
    """End a run's access to its model."""
    registration.unregister(store.home, run_id)
    if spec.api_source == "record":
        cassette.drop_if_empty(_file(spec))


def _variable(spec: RunSpec) -> str:
    """Return the variable in which the agent is to find its key: the agent works otherwise with another."""
    if needs_credential(spec):
        return credentials.find().variable
    return cassette.variable_of(_file(spec)) if spec.api_source == "replay" else "ANTHROPIC_API_KEY"


def serve(spec: RunSpec, run_id: str, store: Store) -> None:
    """See that the gateway serves and has the credential, as far as the run needs these.

    Raises
    ------
    CredentialError, GatewayError, SpecError
    """
    if not needs_gateway(spec):
        return
    gateway.ensure(store.home)
    if not needs_credential(spec):
        return
    try:
        _hand_over(run_id, store.home)
    except GatewayError:
        # It was killed in the middle of this; another takes its place, with no credential yet.
        gateway.ensure(store.home)
        _hand_over(run_id, store.home)


def _hand_over(run_id: str, home: Path) -> None:
    """Give the gateway the run's credential, unless it has it."""
    if not gateway.knows(home, run_id):
        found = credentials.find()
        gateway.give(home, run_id, Pass(found.variable, found.value, Upstream.from_environment()))


def source_digest(spec: RunSpec) -> str | None:
    """Return a digest of the file that answers the agent; `None` where no file does."""
    if spec.api_source not in ("script", "replay"):
        return None
    try:
        return hashlib.sha256(_file(spec).read_bytes()).hexdigest()
    except OSError:
        return None


def _by_tcp(spec: RunSpec, store: Store, image: Image) -> str:
    """Return the gateway's address for a place that can't see a socket of this machine."""
    if spec.network != "open" and not (image.api_by_tcp and image.holds_network):
        raise SpecError(
            f"network {network.shown(spec.network)} can't be held here: this engine, in a virtual machine or "
            "elsewhere, can't see the gateway's socket; use network='open', or an engine of this machine"
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
