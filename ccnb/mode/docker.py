"""Mode `docker`: a container of a Docker engine."""

from __future__ import annotations

from ccnb.mode._container import ContainerMode


class DockerMode(ContainerMode):
    """A container of Docker Engine, Docker Desktop, Colima, OrbStack or Rancher Desktop."""

    name = "docker"
    rank = 30
