"""Whom the egress proxy knows, and at which addresses it lets a listed name lead."""

from __future__ import annotations

import base64
import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.gateway import policy
from ccnb.gateway.policy import Policy, is_public
from ccnb.gateway.registration import register, unregister

ELSEWHERE = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
HERE = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "::",
    "169.254.169.254",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "10.1.2.3",
    "172.17.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "::ffff:127.0.0.1",
    "64:ff9b::169.254.169.254",
    "2002:7f00:1::",
    "fe80::1%eth0",
    "nonsense",
]


def header(run_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{run_id}:{secret}".encode()).decode()


@pytest.fixture
def runs(tmp_path):
    """Return two runs of one store."""
    until = time.time() + 60
    return [
        register(tmp_path, name, api="script:demo", workspace="/w", until=until, hosts=["a.org"])
        for name in ("r1", "r2")
    ]


def test_a_run_is_known_by_its_own_secret(tmp_path, runs):
    for run in runs:
        assert policy.caller(tmp_path, header(run.run_id, policy.secret_of(run))) == run


def test_nothing_else_makes_it_known(tmp_path, runs):
    one, other = runs
    for wrong in (
        header(one.run_id, policy.secret_of(other)),
        header(one.run_id, one.key),
        header(one.run_id, ""),
        header("nobody", policy.secret_of(one)),
        header("../r1", policy.secret_of(one)),
        header(one.run_id, policy.secret_of(one)).replace("Basic", "Bearer"),
        "Basic",
        "Basic ***",
        "Basic /w==",
        "",
    ):
        assert policy.caller(tmp_path, wrong) is None


def test_a_run_that_is_over_is_not_known(tmp_path, runs):
    one, other = runs
    unregister(tmp_path, one.run_id)
    register(tmp_path, "r2", api="script:demo", workspace="/w", until=time.time() - 1)
    assert policy.caller(tmp_path, header("r1", policy.secret_of(one))) is None
    assert policy.caller(tmp_path, header("r2", policy.secret_of(other))) is None


def test_the_secret_does_not_tell_the_run_key(runs):
    assert runs[0].key not in policy.secret_of(runs[0])
    assert policy.secret_of(runs[0]) not in runs[0].key


@pytest.mark.parametrize("address", HERE)
def test_a_name_does_not_lead_here(address):
    assert Policy(["a.org"]).permitted("a.org", 443, [address, *ELSEWHERE]) == ELSEWHERE


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_no_name_leads_to_an_address_that_is_not_of_the_internet(address):
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_ipv6_clothes(address):
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(wrapped) == is_public(str(address))
    sixtofour = ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)
    assert not is_public(str(sixtofour)) or is_public(str(address))


def test_this_machines_own_address_is_not_reached_by_a_name_though_it_be_public():
    assert is_public("93.184.215.14")
    assert not is_public("93.184.215.14", frozenset({"93.184.215.14"}))
    assert "127.0.0.1" in policy.own_addresses()


def test_an_address_that_is_listed_itself_is_the_persons_wish():
    listed = Policy(["a.org:8443", "10.1.2.3:8443", "127.0.0.1:9"])
    assert listed.permitted("a.org", 8443, ["10.1.2.3", "10.1.2.4", "127.0.0.1"]) == ["10.1.2.3"]
    assert listed.permitted("127.0.0.1", 9, ["127.0.0.1"]) == ["127.0.0.1"]


def test_localhost_is_what_it_says_and_only_by_that_name():
    assert Policy(["localhost:9"]).permitted("localhost", 9, ["::1", "127.0.0.1"]) == ["::1", "127.0.0.1"]
    assert Policy(["*.localhost:9"]).permitted("a.localhost", 9, ["127.0.0.1"]) == []
