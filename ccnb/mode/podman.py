"""Mode `podman`: a container of a Podman engine, by its Docker-compatible socket."""

from __future__ import annotations

from ccnb.mode._container import ContainerMode


class PodmanMode(ContainerMode):
    """A container of Podman: rootful, rootless, or in its machine."""

    name = "podman"
    rank = 30
