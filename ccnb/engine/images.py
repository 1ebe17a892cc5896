"""The image that agents run in: built by the project's own Dockerfile when it isn't there."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from docker.errors import APIError, ImageNotFound

from ccnb.engine.client import Engine
from ccnb.errors import ImageError

REPOSITORY = "localhost/ccnb-agent"
LABEL = "ccnb.image"


@dataclass(frozen=True)
class ImageOptions:
    """What can be chosen of the project's image."""

    claude_version: str = "latest"
    base: str = "node:22-slim"
    extra_ca: Path | None = None
    """A bundle of certificates to trust besides the usual, as behind a company's proxy."""
    platform: str | None = None
    """`linux/amd64` or `linux/arm64`; `None` is the engine's own."""

    @classmethod
    def usual(cls) -> Self:
        """Return what an image is built with when nothing is said: `CCNB_BASE_IMAGE`, `CCNB_EXTRA_CA`."""
        bundle = os.environ.get("CCNB_EXTRA_CA")
        base = os.environ.get("CCNB_BASE_IMAGE") or cls.base
        return cls(base=base, extra_ca=Path(bundle) if bundle else None)

    def certificates(self) -> bytes:
        """Return the bundle.

        Raises
        ------
        ImageError
            It can't be read.
        """
        if self.extra_ca is None:
            return b""
        try:
            return self.extra_ca.read_bytes()
        except OSError as error:
            raise ImageError(
                f"the CA bundle {self.extra_ca} can't be read ({error.strerror}); name a PEM file"
            ) from error


def dockerfile() -> bytes:
    """Return the project's Dockerfile."""
    return files("ccnb").joinpath("data", "Dockerfile").read_bytes()


def default_reference(options: ImageOptions | None = None) -> str:
    """Return the image's name: its tag changes with all that goes into it."""
    options = options or ImageOptions.usual()
    parts = [dockerfile(), options.claude_version.encode(), options.base.encode(), options.certificates()]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    suffix = "-" + options.platform.rpartition("/")[2] if options.platform else ""
    return f"{REPOSITORY}:{digest}{suffix}"


def inspect(engine: Engine, reference: str) -> dict[str, Any] | None:
    """Return what the engine knows of an image, or `None`."""
    with engine.mapped(f"look at image {reference!r}"):
        try:
            found: dict[str, Any] = engine.api.inspect_image(reference)  # type: ignore[no-untyped-call]  # the stubs lack it
        except ImageNotFound:
            return None
        except APIError as error:
            # Podman answers 500 to a name that it can't resolve.
            if "no such image" in str(error.explanation).lower():
                return None
            raise
    return found


def build(engine: Engine, say: Callable[[str], None], options: ImageOptions | None = None) -> str:
    """Build the project's image on an engine, saying each step; return its name.

    Raises
    ------
    ImageError
        The build failed; the message has its last words.
    EngineError
    """
    options = options or ImageOptions.usual()
    reference = default_reference(options)
    last = ""
    with engine.mapped("build the image"):
        for step in engine.api.build(
            fileobj=_context(options),
            custom_context=True,
            tag=reference,
            rm=True,
            decode=True,
            platform=options.platform,
            buildargs={"BASE": options.base, "CLAUDE_VERSION": options.claude_version},
        ):
            if "error" in step:
                raise ImageError(_failure(str(step["error"]), last, options))
            for line in str(step.get("stream") or step.get("status") or "").splitlines():
                if line.strip():
                    last = line.strip()
                    say(last)
    return reference


def pull(engine: Engine, reference: str, say: Callable[[str], None]) -> None:
    """Pull an image.

    Raises
    ------
    ImageError
        It isn't to be had.
    """
    say(f"pulling {reference}")
    repository, _, tag = reference.partition("@") if "@" in reference else _tagged(reference)
    try:
        for step in engine.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in step:
                raise _not_pulled(reference, str(step["error"]))
            if step.get("status") and not step.get("progress"):
                say(str(step["status"]))
    except APIError as error:
        raise _not_pulled(reference, str(error.explanation)) from None


def _not_pulled(reference: str, why: str) -> ImageError:
    return ImageError(f"image {reference!r} isn't on this engine and can't be pulled ({why}); check its name")


def push(
    engine: Engine, reference: str, repository: str, auth: Mapping[str, str], say: Callable[[str], None]
) -> str:
    """Push an image to a repository of a registry, saying each step; return its digest there.

    Parameters
    ----------
    auth
        `username` and `password` for the registry.

    Raises
    ------
    ImageError
        It is for another processor than amd64, or the registry refused it.
    """
    found = inspect(engine, reference) or {}
    if found.get("Architecture") != "amd64":
        raise ImageError(
            f"image {reference!r} is for {found.get('Architecture')}, not amd64; "
            "build it with `ccnb image build --platform linux/amd64`"
        )
    tag = reference.rpartition(":")[2]
    digest = ""
    with engine.mapped(f"push {repository}"):
        engine.api.tag(reference, repository, tag)
        try:
            for step in engine.api.push(
                repository, tag=tag, stream=True, decode=True, auth_config=dict(auth)
            ):
                if "error" in step:
                    raise ImageError(_not_pushed(repository, str(step["error"])))
                digest = str((step.get("aux") or {}).get("Digest") or digest)
                if step.get("status") and not step.get("progress"):
                    say(" ".join(filter(None, (step.get("id"), str(step["status"])))))
        finally:
            engine.api.remove_image(f"{repository}:{tag}", noprune=True)
    if not digest:
        raise ImageError(_not_pushed(repository, "the engine named no digest"))
    return digest


def _not_pushed(repository: str, said: str) -> str:
    refused = any(sign in said for sign in ("unauthorized", "denied", "authentication"))
    action = (
        "set a token in FLY_API_TOKEN that may push"
        if refused
        else "see that the engine reaches the registry"
    )
    return f"the image could not be pushed to {repository}: {said}; {action}"


def program_from(engine: Engine, reference: str, target: Path, labels: Mapping[str, str]) -> Path:
    """Copy the agent's program out of an image into a file of this machine.

    Parameters
    ----------
    labels
        Of the container that it takes: by them it is found if we die before we have removed it.

    Raises
    ------
    ImageError
        There is none in it.
    EngineError
    """
    with engine.mapped("look into the image"):
        container = engine.api.create_container(reference, ["true"], labels=dict(labels))["Id"]
    try:
        path = "/usr/local/bin/claude"
        for _ in range(8):
            with engine.get(container, path) as archive:
                entry = archive.next()
                if entry is None or not (entry.issym() or entry.isfile()):
                    break
                if entry.issym():
                    path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.linkname))
                    continue
                return _save(archive, entry, target)
    except FileNotFoundError:
        pass
    finally:
        engine.remove(container)
    raise ImageError(f"image {reference!r} holds no claude program; run `ccnb image build`")


def _save(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> Path:
    source = archive.extractfile(entry)
    assert source is not None  # noqa: S101 - isfile() was asked
    scratch = target.with_suffix(".new")
    with scratch.open("wb") as file:
        while block := source.read(1 << 20):
            file.write(block)
    scratch.chmod(0o755)
    return scratch.replace(target)


def _context(options: ImageOptions) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("Dockerfile", dockerfile()), ("extra-ca.pem", options.certificates())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _tagged(reference: str) -> tuple[str, str, str]:
    head, colon, tag = reference.rpartition(":")
    return (head, ":", tag) if colon and "/" not in tag else (reference, "", "")


def _failure(error: str, last: str, options: ImageOptions) -> str:
    action = "see what it said before that"
    if any(sign in error for sign in ("dial tcp", "no such host", "connection refused", "i/o timeout")):
        action = "see that the engine reaches a registry, or name an image that it has with --base"
    elif options.base.split(":")[0] in error and re.search("pull|manifest|lookup", error):
        action = f"see that {options.base} can be pulled, or name another with --base"
    elif "certificate" in (error + last).lower():
        action = "behind a proxy that re-signs traffic, name its certificates in CCNB_EXTRA_CA"
    return f"the image could not be built: {error} (last line: {last}); {action}"
