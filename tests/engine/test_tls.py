"""An engine behind TLS is reached with the certificates that Docker's variables or a context name."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from ccnb.engine import connect
from ccnb.errors import EngineError
from tests.engine.test_discovery import nobody, use_context

pytestmark = [pytest.mark.needs("docker"), pytest.mark.usefixtures("nobody")]
assert nobody  # the fixture is used by its name


@pytest.fixture
def certificates(tmp_path) -> tuple[trustme.CA, Path]:
    """Return an authority, and a folder with what a client shows as Docker wants it named."""
    authority, folder = trustme.CA(), tmp_path / "certificates"
    folder.mkdir()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("client@example.org")
    client.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    client.private_key_pem.write_to_path(folder / "key.pem")
    return authority, folder


@pytest.fixture
def address(certificates) -> Iterator[str]:
    """Put a TLS server that asks for a certificate before the real engine's socket; return its address."""
    authority, _ = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    engine = connect("docker").endpoint.socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, context, engine), daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def serve(server: socket.socket, context: ssl.SSLContext, engine: Path) -> None:
    with suppress(OSError):
        while True:
            plain, _ = server.accept()
            with suppress(ssl.SSLError):
                outer = context.wrap_socket(plain, server_side=True)
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(str(engine))
                for pair in ((outer, inner), (inner, outer)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)


def test_dockers_variables_name_the_certificates(address, certificates, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates[1]))
    engine = connect("docker")
    assert engine.endpoint.url == address
    # Who comes back to a place has its engine's address alone.
    assert connect("docker", address).version == engine.version


def test_a_context_brings_its_own(address, certificates, tmp_path):
    use_context(tmp_path / "docker", "far", address)
    (meta,) = (tmp_path / "docker" / "contexts" / "meta").iterdir()
    tls = tmp_path / "docker" / "contexts" / "tls" / meta.name
    tls.mkdir(parents=True)
    certificates[1].rename(tls / "docker")
    assert connect("docker").endpoint.url == address
    assert json.loads((meta / "meta.json").read_text())["Name"] == "far"


def test_an_engine_of_another_authority_is_not_spoken_to(address, certificates, monkeypatch):
    trustme.CA().cert_pem.write_to_path(certificates[1] / "ca.pem")
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates[1]))
    with pytest.raises(EngineError, match="isn't signed by the authority"):
        connect("docker")
