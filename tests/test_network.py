"""Lists of hosts: what can be listed, and what an entry matches."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ccnb import network
from ccnb.errors import SpecError

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.builds(
    lambda parts, top: ".".join([*parts, top]),
    st.lists(labels, min_size=1, max_size=3),
    st.from_regex("[a-z]{2,6}", fullmatch=True),
)
ports = st.integers(1, 65535)
addresses = st.ip_addresses().map(str)


def spelled(draw, name: str) -> str:
    """Return a name in another case, with or without a dot at its end."""
    return "".join(draw(st.sampled_from([c, c.upper()])) for c in name) + draw(st.sampled_from(["", "."]))


def matches(entry: str, host: str, port: int = 443) -> bool:
    (rule,) = network.rules([entry])
    name = network.canonical(host)
    return name is not None and rule.matches(name, port)


@given(names, st.data())
def test_a_name_matches_itself_however_it_is_spelled(name, data):
    assert matches(spelled(data.draw, name), spelled(data.draw, name))


@given(names, names)
def test_a_name_matches_no_other(entry, host):
    assume(entry != host)
    assert not matches(entry, host)


@given(names, labels, st.data())
def test_a_wildcard_matches_what_is_below_the_name_at_any_depth(name, label, data):
    assert matches(f"*.{name}", spelled(data.draw, f"{label}.{name}"))
    assert matches(f"*.{name}", spelled(data.draw, f"{label}.{label}.{name}"))


@given(names, labels, st.data())
def test_a_wildcard_matches_neither_the_name_nor_one_that_only_ends_like_it(name, label, data):
    assert not matches(f"*.{name}", spelled(data.draw, name))
    assert not matches(f"*.{name}", spelled(data.draw, f"{label}{name}"))
    assert not matches(f"*.{name}", f"{name}.{label}.org")


@given(names, ports, ports)
def test_only_the_port_that_is_listed_is_meant(name, listed, asked):
    assert matches(f"{name}:{listed}", name, asked) == (listed == asked)
    assert matches(name, name, asked) == (asked == 443)


def meant(address: str) -> object:
    """Return the address that a text means: an IPv4 address can be written as an IPv6 one."""
    found = ipaddress.ip_address(address)
    return getattr(found, "ipv4_mapped", None) or found


@given(addresses, addresses)
@example("192.0.2.1", "::ffff:192.0.2.1")
@example("::ffff:0:0", "0.0.0.0")  # noqa: S104 - nothing listens there
def test_an_address_matches_itself_alone_however_it_is_written(listed, asked):
    entry = f"[{listed}]:8443" if ":" in listed else f"{listed}:8443"
    assert matches(entry, ipaddress.ip_address(listed).exploded, 8443)
    assert matches(entry, asked, 8443) == (meant(listed) == meant(asked))


@given(
    st.lists(st.one_of(names, names.map("*.{}".format), st.builds("{}:{}".format, names, ports)), min_size=1)
)
def test_what_is_kept_means_the_same_and_is_kept_as_it_is(entries):
    kept = network.parse(entries)
    assert network.parse(kept) == kept
    assert set(network.rules(kept)) == set(network.rules(entries))
    assert network.parse([*reversed(entries), *entries]) == kept


@given(st.text(max_size=30))
def test_whatever_is_asked_for_has_one_canonical_form_or_none(host):
    name = network.canonical(host)
    assert name is None or (name.isascii() and network.canonical(name) == name)


def test_a_name_in_any_script_is_its_a_label():
    assert matches("bücher.example", "xn--bcher-kva.example")
    assert matches("*.BÜCHER.example", "www.xn--bcher-kva.example")
    assert matches("\N{FULLWIDTH LATIN SMALL LETTER E}xample.org", "example.org")
    assert not matches("bücher.example", "bucher.example")
    # A Cyrillic letter that looks like the Latin one makes another name.
    assert not matches("p\N{CYRILLIC SMALL LETTER A}ypal.com", "paypal.com")


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "a.0x7f", "fe80::1%eth0", "a..b", "", ".", "a b"],
)
def test_what_resolvers_take_for_an_address_and_we_dont_is_no_host(host):
    assert network.canonical(host) is None


def test_an_ipv4_address_in_ipv6_clothes_is_that_address():
    assert network.canonical("[::ffff:169.254.169.254]") == "169.254.169.254"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("opne", "did you mean 'open'"),
        (["https://example.org/x"], "a URL; list the host alone, 'example.org'"),
        ("https://example.org", "a URL; list the host alone, 'example.org'"),
        ([], "an empty list; list hosts, or use network='none'"),
        (["*"], "every host; use network='open'"),
        (["*:443"], "every host; use network='open'"),
        (["a.*.org"], r"a \* can only stand at the beginning"),
        (["*x.org"], r"a \* can only stand at the beginning"),
        (["10.0.0.0/8"], "ranges and paths can't be listed"),
        (["example.org:0"], "ports are 1 to 65535"),
        (["example.org:65536"], "ports are 1 to 65535"),
        (["example.org:https"], "ports are 1 to 65535"),
        (["example.org:"], "ports are 1 to 65535"),
        (["none"], "give network='none' alone"),
        (["a.org", ""], "which is no host"),
        (["me@example.org"], "no host's name or address"),
        (["*.10.0.0.1"], "no host's name or address"),
        ([None], "which is no host"),
        (7, "a list of hosts, not 7"),
        ({"a.org": 1}, "a list of hosts"),
    ],
)
def test_what_cannot_be_listed_is_refused_in_a_sentence(value, words):
    with pytest.raises(SpecError, match=words) as caught:
        network.parse(value)
    assert str(caught.value).startswith("network ")
    assert "\n" not in str(caught.value)
