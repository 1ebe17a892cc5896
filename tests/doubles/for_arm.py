"""An image, with nothing in it, that says of itself that it is for another processor."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from functools import cache

from ccnb.engine import connect

NAME = "localhost/ccnb-test-for-arm:1"


@cache
def load() -> None:
    """Bring it to the Docker engine, in the format of `docker save`."""
    layer = _archive({})
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = {"architecture": "arm64", "os": "linux", "rootfs": rootfs}
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    texts = {"config.json": config, "manifest.json": manifest}
    parts = {name: json.dumps(value).encode() for name, value in texts.items()}
    connect("docker").api.load_image(_archive({"layer.tar": layer, **parts}))


def _archive(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
