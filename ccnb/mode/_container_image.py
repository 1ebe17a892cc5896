"""The image of a container: built, pulled, or another's with the agent's program mounted."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccnb import claude
from ccnb.engine import Engine
from ccnb.engine import images as engine_images
from ccnb.errors import ImageError
from ccnb.mode.base import Image, Say
from ccnb.spec import RunSpec
from ccnb.store import home, store_label

LABEL_COPY = "ccnb.copy"
"""Of a container that is never started: the program is copied out of it. Its value is the store."""

_HOST_NAMES = {"docker": "host.docker.internal", "podman": "host.containers.internal"}
"""By which an engine in a virtual machine lets its containers reach our loopback."""


def prepare(engine: Engine, spec: RunSpec, say: Say) -> Image:
    """Find the image; build the project's own, pull any other.

    Raises
    ------
    EngineError
    ImageError
    """
    reference = spec.image or engine_images.default_reference()
    found = engine_images.inspect(engine, reference)
    if found is None:
        if spec.image:
            engine_images.pull(engine, reference, say)
        else:
            say(f"building the image {reference}; this is done once")
            engine_images.build(engine, say)
        found = engine_images.inspect(engine, reference)
    if found is None:
        raise ImageError(f"image {reference!r} isn't there after all; run `ccnb image build`")
    config = found.get("Config") or {}
    ours = engine_images.LABEL in (config.get("Labels") or {})
    conditions = {
        "engine": f"{engine.kind} {engine.version}",
        "image": reference,
        "image_digest": str(found["Id"]),
    }
    program = None if ours else _program(engine, say)
    if program is not None:
        conditions["program"] = claude.stamp(program)
    if engine.ignored_limits:
        conditions["ignored_limits"] = ", ".join(engine.ignored_limits)
    return Image(
        reference=reference,
        mount_program=str(program or ""),
        conditions=conditions,
        api_by_tcp=("127.0.0.1", _HOST_NAMES[engine.kind]) if engine.in_vm else None,
        path=next((v[5:] for v in config.get("Env") or [] if v.startswith("PATH=")), ""),
    )


def _program(engine: Engine, say: Say) -> Path:
    """Return a Linux `claude` to mount: this machine's, else the one in the project's image."""
    own = claude.find_program()
    if own is not None and own.open("rb").read(4) == b"\x7fELF" and not engine.in_vm:
        return own
    reference = engine_images.default_reference()
    if engine_images.inspect(engine, reference) is None:
        engine_images.build(engine, say)
    target = home() / "agent" / reference.rpartition(":")[2] / "claude"
    with _copying():
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            say("copying the claude program out of the project's image")
            engine_images.program_from(engine, reference, target, {LABEL_COPY: store_label(home())})
    return target


def left_copies(engine: Engine, store_id: str) -> list[str]:
    """Return the containers of a store from which the program was being copied when the copier died."""
    try:
        with _copying(wait=False):
            return [found["Id"] for found in engine.list([f"{LABEL_COPY}={store_id}"])]
    except BlockingIOError:
        return []


@contextmanager
def _copying(*, wait: bool = True) -> Iterator[None]:
    """Be the one that copies the program into this store; the kernel lets go of whoever dies.

    Raises
    ------
    BlockingIOError
        Another one copies, and we were not to wait.
    """
    folder = home() / "agent"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
