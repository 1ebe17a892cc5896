"""Docker-compatible engines: find their sockets, talk to them, have the image."""

from ccnb.engine.client import Engine, Identity, bind, bound, connect
from ccnb.engine.discovery import Endpoint, endpoints
from ccnb.engine.images import ImageOptions, build, default_reference, program_from, push

__all__ = [
    "Endpoint",
    "Engine",
    "Identity",
    "ImageOptions",
    "bind",
    "bound",
    "build",
    "connect",
    "default_reference",
    "endpoints",
    "program_from",
    "push",
]
