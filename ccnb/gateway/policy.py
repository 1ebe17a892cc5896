"""What the egress proxy lets through: who asks, for which host, at which address."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from ccnb import network
from ccnb.gateway import registration
from ccnb.gateway.registration import Registration

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""Addresses that stand for IPv4 ones behind a translator (RFC 6052)."""
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
"""Given up long ago (RFC 3879), and so no longer told apart by `is_global`."""


def secret_of(run: Registration) -> str:
    """Return a run's secret for the proxy: not the run key, since programs show a proxy's URL in errors."""
    return hmac.digest(run.key.encode(), b"egress proxy", hashlib.sha256).hex()


def caller(home: Path, authorization: str) -> Registration | None:
    """Return the run that a `Proxy-Authorization` header proves to come from; `None` if it proves nothing."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        run_id, _, secret = base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        return None
    run = registration.read(home, run_id)
    if run is None or not run.is_live or not hmac.compare_digest(secret, secret_of(run)):
        return None
    return run


class Policy:
    """The hosts that a run may reach."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._rules = network.rules(entries)

    def allows(self, host: str, port: int) -> bool:
        """Return whether a host in canonical form is listed, on that port."""
        return any(rule.matches(host, port) for rule in self._rules)

    def permitted(self, host: str, port: int, found: Iterable[str]) -> list[str]:
        """Return those of a listed host's addresses that may be connected to.

        Whoever owns a name decides where it leads, and may change that at any time: so a name leads to
        public addresses alone. This machine, its networks and its cloud's metadata service are reached only
        by an address that is itself listed, or as `localhost`.
        """
        if host == "localhost":
            return list(found)
        own = own_addresses()
        return [
            address
            for address in found
            if self.allows(str(network.canonical(address)), port) or is_public(address, own)
        ]


def resolve(host: str, port: int) -> list[str]:
    """Return a host's addresses by this machine's resolver, each once; blocks.

    Raises
    ------
    OSError, UnicodeError
        There is no such name, or nobody answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str, own: frozenset[str] = frozenset()) -> bool:
    """Return whether an address is one of the public internet, and none of our own."""
    try:
        address = _innermost(ipaddress.ip_address(text))
    except ValueError:
        return False
    special = address.is_multicast or address.is_reserved or address in _SITE_LOCAL
    return address.is_global and not special and str(address) not in own


def own_addresses() -> frozenset[str]:
    """Return the addresses of this machine's interfaces."""
    families = (socket.AF_INET, socket.AF_INET6)
    interfaces = psutil.net_if_addrs().values()
    return frozenset(
        entry.address.partition("%")[0] for found in interfaces for entry in found if entry.family in families
    )


def _innermost(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
