"""One engine: a thin, typed hold on the Docker SDK, with its errors turned into ours."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig
from docker.types import Mount, Ulimit

from ccnb.engine.discovery import Endpoint, endpoints
from ccnb.errors import EngineError, ImageError, StartError

_TIMEOUT_S = 120
_STRAY_S = 20
_STARTS = {
    "docker": "start Docker Desktop, or `sudo systemctl start docker`",
    "podman": "start its socket: `systemctl --user start podman.socket`, or `podman machine start`",
}


@dataclass(frozen=True)
class Identity:
    """Who the agent is in a container."""

    uid: int
    gid: int
    user_namespace: str | None = None
    lent: bool = False
    """The folders must be given to `uid` before and taken back after."""


class _Client(docker.APIClient):
    """The SDK's client, true to the engine's own authority.

    requests prefers REQUESTS_CA_BUNDLE to what a session was told (psf/requests issue 3829).
    """

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        verify = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


class Engine:
    """A container engine that answers. Make one with `connect`."""

    def __init__(self, endpoint: Endpoint, kind: str) -> None:
        self.endpoint = endpoint
        self.kind = kind
        self.api = _Client(
            base_url=endpoint.url,
            timeout=_TIMEOUT_S,
            num_pools=64,
            tls=_tls(endpoint.certificates),
            # The person's own ssh knows their keys and hosts.
            use_ssh_client=endpoint.url.startswith("ssh://"),
        )
        self.info: dict[str, Any] = self.api.info()
        version = self.api.version()
        self.version = str(version.get("Version", "?"))
        names = [str(c.get("Name", "")) for c in version.get("Components") or []]
        self.is_podman = any("Podman" in name for name in names)

    @property
    def rootless(self) -> bool:
        """Return whether the engine itself is an ordinary user's process."""
        if not self.is_podman:
            return self._has_security("rootless")
        # Podman's compatible API doesn't say; whose socket it is does.
        socket = self.endpoint.socket
        return socket is not None and socket.exists() and socket.stat().st_uid != 0

    @property
    def selinux(self) -> bool:
        """Return whether SELinux guards the containers' files."""
        return self._has_security("selinux")

    @property
    def in_vm(self) -> bool:
        """Return whether the engine runs on another kernel than we do."""
        return self.info.get("KernelVersion") != os.uname().release

    @property
    def ignored_limits(self) -> list[str]:
        """Return the limits that the engine says it can't hold."""
        known = {"MemoryLimit": "memory", "CpuCfsQuota": "cpus", "PidsLimit": "processes"}
        return [name for key, name in known.items() if self.info.get(key) is False]

    def identity(self, stand_in: int) -> Identity:
        """Return as whom the agent must run so that what it makes belongs to the caller.

        `stand_in` is the id it gets where the caller is root, and the agent must not be.
        """
        uid, gid = os.getuid(), os.getgid()
        if self.rootless and self.is_podman:
            socket = self.endpoint.socket
            owner = socket.stat() if socket else None
            if owner and owner.st_uid != uid:
                return Identity(owner.st_uid, owner.st_gid, "keep-id", lent=uid == 0)
            return Identity(uid, gid, "keep-id")
        if self.rootless:
            # The user namespace's root is the engine's owner; any other id is a subordinate one.
            return Identity(0, 0)
        if uid == 0:
            return Identity(stand_in, stand_in, lent=True)
        return Identity(uid, gid)

    @contextmanager
    def mapped(self, what: str) -> Iterator[None]:
        """Turn whatever the SDK raises in this block into one of our errors.

        Raises
        ------
        EngineError
        """
        try:
            yield
        except (DockerException, requests.exceptions.RequestException) as error:
            # The SDK's error may hold the request, and with it the environment.
            raise self._error(what, error) from None

    def _error(self, what: str, error: Exception) -> EngineError:
        if isinstance(error, requests.exceptions.ConnectionError):
            return EngineError(
                f"{self.kind} at {self.endpoint.url} went away while trying to {what}; {_STARTS[self.kind]}"
            )
        said = str(error.explanation if isinstance(error, APIError) and error.explanation else error)
        return EngineError(f"{self.kind} could not {what}: {said.strip()}; run `ccnb doctor`")

    def create(
        self, name: str, image: str, body: Mapping[str, Any], host: Mapping[str, Any], more: Mapping[str, Any]
    ) -> str:
        """Make a container and return its id. `more` is what the SDK doesn't let through to the engine.

        Raises
        ------
        ImageError
            The image isn't there.
        EngineError
        """
        config = {**self.api.create_host_config(**host), **more}
        ask = partial(self.api.create_container, image=image, name=name, host_config=config, **body)
        try:
            answer = self._in_place_of_a_stray(name, ask)
        except NotFound as error:
            raise ImageError(
                f"image {image!r} isn't on this engine ({error.explanation}); pull it, or check its name"
            ) from None
        except (DockerException, requests.exceptions.RequestException) as error:
            raise self._error(f"create a container from {image!r}", error) from None
        return str(answer["Id"])

    def _in_place_of_a_stray(self, name: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Make a container; a process killed while it asked for the same one may have left it, unstarted.

        The engine may still be at work on that one: then it has taken the name, and can't be removed yet.
        """
        until = time.monotonic() + _STRAY_S
        while True:
            try:
                return ask()
            except APIError as error:
                if "already in use" not in str(error.explanation) or time.monotonic() > until:
                    raise
            self.remove(name)
            time.sleep(0.1)

    def start(self, container: str) -> None:
        """Start a container.

        Raises
        ------
        StartError
            The engine could not start what it has made.
        EngineError
        """
        try:
            self.api.start(container)
        except APIError as error:
            raise StartError(
                f"{self.kind} could not start the container: {error.explanation}; run `ccnb doctor`"
            ) from None
        except (DockerException, requests.exceptions.RequestException) as error:
            raise self._error("start the container", error) from None

    def inspect(self, container: str) -> dict[str, Any] | None:
        """Return all that the engine knows of a container, or `None` when it has none of that id."""
        with self.mapped("inspect a container"):
            try:
                found: dict[str, Any] = self.api.inspect_container(container)
            except NotFound:
                return None
        return found

    def remove(self, container: str) -> None:
        """Kill and remove a container; harmless when it is gone."""
        with self.mapped("remove a container"):
            try:
                self.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # Somebody else removes it at this moment.
                if error.status_code != requests.codes.conflict:
                    raise

    def list(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the containers, running or not, that carry all of the labels."""
        with self.mapped("list containers"):
            found: list[dict[str, Any]] = self.api.containers(all=True, filters={"label": list(labels)})
        return found

    def exec(self, container: str, argv: Sequence[str], user: str) -> tuple[int, bytes]:
        """Run a command in a container; return its exit code and all that it printed."""
        with self.mapped(f"run {argv[0]} in the container"):
            made = self.api.exec_create(container, list(argv), user=user)
            output = self.api.exec_start(made["Id"])
            code = self.api.exec_inspect(made["Id"])["ExitCode"]
        return int(code or 0), bytes(output)

    def put(self, container: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive at a container's root."""
        with self.mapped("copy files into the container"):
            self.api.put_archive(container, "/", archive)

    def get(self, container: str, path: str) -> tarfile.TarFile:
        """Return a path of a container as a tar archive, read as it comes.

        Raises
        ------
        FileNotFoundError
            The container has no such path.
        EngineError
        """
        with self.mapped(f"copy {path} out of the container"):
            try:
                chunks, _ = self.api.get_archive(container, path)
            except NotFound as error:
                raise FileNotFoundError(f"{path}: {error.explanation}") from None
        return tarfile.open(fileobj=_Stream(chunks), mode="r|")

    def _has_security(self, name: str) -> bool:
        options = self.info.get("SecurityOptions") or []
        return any(str(option).startswith(f"name={name}") for option in options)


class _Stream(io.RawIOBase):
    """Chunks as a file: the SDK yields them, `tarfile` reads."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        size = have if size < 0 else size
        self._rest = data[size:]
        return data[:size]


def bind(target: str, source: Path | str, *, read_only: bool = False) -> Mount:
    """Return a mount of a folder or file of this machine, for `create`."""
    return Mount(target, str(source), type="bind", read_only=read_only)


def bound(name: str, value: int) -> Ulimit:
    """Return a limit on what one process may have (`nofile`, `nproc`), for `create`."""
    return Ulimit(name=name, soft=value, hard=value)


def connect(kind: str, url: str | None = None) -> Engine:
    """Return the engine at an address, else the first of a kind (`docker` or `podman`) that answers.

    Raises
    ------
    EngineError
        None does; the message says what was tried and what to do.
    """
    tried: list[str] = []
    known = endpoints(kind)
    if url:
        # One that is found here too may come with certificates.
        known = [endpoint for endpoint in known if endpoint.url == url] or [Endpoint(url, "named")]
    for endpoint in known:
        try:
            engine = Engine(endpoint, kind)
        except (DockerException, requests.exceptions.RequestException) as error:
            tried.append(f"{endpoint.url} ({endpoint.origin}): {_brief(error)}")
            continue
        if engine.is_podman == (kind == "podman"):
            return engine
        tried.append(f"{endpoint.url} ({endpoint.origin}): answers as another engine")
    what = "; tried " + ", ".join(tried) if tried else ": no socket found"
    action = _STARTS[kind]
    if any("permission denied" in attempt for attempt in tried):
        action = f"let your user use the socket: `sudo usermod -aG {kind} $USER`, then log in anew"
    raise EngineError(f"no {kind} engine answers{what}; {action}")


def _tls(folder: Path | None) -> TLSConfig | bool:
    """Return what speaks to an engine behind TLS; its certificate is always verified."""
    if folder is None:
        return False
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return TLSConfig(
        client_cert=pair if (folder / "cert.pem").exists() else None,
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )


def _brief(error: Exception) -> str:
    text = str(error)
    for sign, meaning in (
        ("Permission denied", "permission denied"),
        ("No such file", "no such socket"),
        ("Connection refused", "connection refused"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate isn't signed by the authority in ca.pem"),
    ):
        if sign in text:
            return meaning
    return text[:120]
