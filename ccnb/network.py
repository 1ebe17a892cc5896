"""Which hosts a place may reach: the entries that a person lists, and what each of them matches."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ccnb.errors import SpecError, did_you_mean

OPEN, NONE = "open", "none"
HTTPS_PORT = 443

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"\d+|0x[0-9a-f]*")
_LONGEST_NAME = 253
_EXAMPLE = "write names such as 'api.example.org', '*.example.org' or 'host:8443'"


@dataclass(frozen=True, order=True)
class Rule:
    """One entry: a host, or everything below a name, on one port."""

    host: str
    """In canonical form."""
    port: int
    subdomains: bool = False
    """Names below the host are meant, at any depth, and not the host itself."""

    def matches(self, host: str, port: int) -> bool:
        """Return whether a host in canonical form and a port are meant."""
        if port != self.port:
            return False
        return host.endswith(f".{self.host}") if self.subdomains else host == self.host

    def __str__(self) -> str:
        name = f"*.{self.host}" if self.subdomains else self.host
        if self.port == HTTPS_PORT:
            return name
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"


def parse(value: Any) -> str | tuple[str, ...]:
    """Return a network policy as it is kept: `open`, `none`, or the entries, sorted and each once.

    Raises
    ------
    SpecError
        An entry, or the whole, can't be used.
    """
    if isinstance(value, str):
        if value in (OPEN, NONE):
            return value
        if not re.search(r"[.:/*]", value):
            near = did_you_mean(value, (OPEN, NONE))
            raise SpecError(f"network must be open, none or a list of hosts, not {value!r}{near}")
        value = [value]
    if not isinstance(value, list | tuple | set | frozenset):
        raise SpecError(f"network must be 'open', 'none' or a list of hosts, not {value!r}; {_EXAMPLE}")
    if not value:
        raise SpecError("network is an empty list; list hosts, or use network='none'")
    return tuple(str(rule) for rule in sorted(set(rules(value))))


def shown(policy: str | tuple[str, ...]) -> str:
    """Return a policy as a person writes it."""
    return repr(list(policy) if isinstance(policy, tuple) else policy)


def rules(entries: Iterable[Any]) -> list[Rule]:
    """Return the rules that entries stand for.

    Raises
    ------
    SpecError
    """
    return [_rule(entry) for entry in entries]


def canonical(host: str) -> str | None:
    """Return a host in its one canonical form: lower case, IDNA's A-labels, no dot at the end.

    An address is written in its shortest form. What is neither a name nor an address gives `None`, and so
    do other spellings of addresses that resolvers take for one (`127.1`, `0x7f000001`, `2130706433`).
    """
    address = _address(host)
    if address is not None:
        return address
    if not host.isascii():
        # Imported here: its tables are large, and few names need them.
        import idna

        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            return None
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    whole = all(_LABEL.fullmatch(label) for label in labels) and len(name) <= _LONGEST_NAME
    return name if whole and not _NUMERIC.fullmatch(labels[-1]) else None


def _address(host: str) -> str | None:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)


def _rule(entry: Any) -> Rule:
    text = entry.strip() if isinstance(entry, str) else ""
    _check_form(entry, text)
    subdomains = text.startswith("*.")
    name, port = _split(entry, text.removeprefix("*."))
    host = canonical(name)
    if host is None or (subdomains and _address(host)):
        raise SpecError(f"network has {entry!r}, which is no host's name or address; {_EXAMPLE}")
    return Rule(host, port, subdomains)


def _check_form(entry: Any, text: str) -> None:
    """Tell common mistakes apart from mere nonsense."""
    if not text:
        raise SpecError(f"network has {entry!r}, which is no host; {_EXAMPLE}")
    if text in (OPEN, NONE):
        raise SpecError(f"network has {text!r} in a list of hosts; give network={text!r} alone")
    if "://" in text:
        host = text.partition("://")[2].partition("/")[0]
        raise SpecError(f"network has {entry!r}, which is a URL; list the host alone, {host!r}")
    if "/" in text:
        raise SpecError(f"network has {entry!r}; ranges and paths can't be listed, so list each host")
    if re.fullmatch(r"\*\.?(:\d*)?", text):
        raise SpecError(f"network has {entry!r}, which is every host; use network='open' for that")
    if "*" in text.removeprefix("*."):
        raise SpecError(f"network has {entry!r}; a * can only stand at the beginning, as in '*.example.org'")


def _split(entry: Any, text: str) -> tuple[str, int]:
    """Split an entry into its host and its port."""
    bracketed = re.fullmatch(r"(\[[^\]]*\])(?::(.*))?", text)
    if bracketed:
        name, port = bracketed[1], bracketed[2]
    elif text.count(":") > 1:
        name, port = text, None
    else:
        name, colon, after = text.partition(":")
        port = after if colon else None
    if port is None:
        return name, HTTPS_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SpecError(f"network has {entry!r}, whose port is none; ports are 1 to 65535")
    return name, int(port)
