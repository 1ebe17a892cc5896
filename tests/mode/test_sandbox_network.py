"""The log of Docker's proxy, in the forms in which its programs print it, and in any other."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.gateway import network_log
from ccnb.mode._sandbox_network import write_log
from tests.sandboxes import PROGRAMS

DOCKER = {
    "entries": [
        {
            "timestamp": "2026-01-29T10:15:23Z",
            "sandbox": "box",
            "type": "request",
            "method": "GET",
            "url": "https://a.example/x?y",
            "action": "allowed",
        },
        {
            "timestamp": "2026-01-29T10:15:24Z",
            "sandbox": "box",
            "type": "request",
            "method": "GET",
            "url": "http://b.example/",
            "action": "denied",
        },
        {
            "timestamp": "2026-01-29T10:15:25Z",
            "sandbox": "another",
            "type": "request",
            "method": "GET",
            "url": "http://c.example/",
            "action": "denied",
        },
    ]
}
"""As documented for `docker sandbox network log --json`."""
SBX = {
    "blocked_hosts": [
        {
            "host": "b.example:80",
            "vm_name": "box",
            "proxy_type": "forward",
            "rule": "no applicable policies for op=(action:net:connect:tcp, resource=net:domain:b.example)",
            "last_seen": "2026-10-09T13:01:10.517026142+02:00",
            "since": "2026-10-09T13:01:10.517026142+02:00",
            "count_since": 1,
            "reason": "No matching allow rule (default deny)",
        },
        {
            "host": "c.example:443",
            "vm_name": "another",
            "proxy_type": "forward",
            "rule": "",
            "last_seen": "2026-10-09T13:01:10+02:00",
            "since": "2026-10-09T13:01:10+02:00",
            "count_since": 1,
            "reason": "Denied by local rule",
        },
    ],
    "allowed_hosts": [
        {
            "host": "a.example:443",
            "vm_name": "box",
            "proxy_type": "forward",
            "rule": "",
            "last_seen": "2026-10-09T13:01:09.884376885+02:00",
            "since": "2026-10-09T12:55:00.1+02:00",
            "count_since": 438,
        },
    ],
}
"""As `sbx policy log NAME --json` of 0.32 to 0.47 was seen to print it."""


@pytest.fixture
def taken(tmp_path):
    """Return a function that takes a log: what is told of it, and the connections that it has."""

    def take(printed, gateway=None):
        text = printed if isinstance(printed, bytes) else json.dumps(printed).encode()
        return write_log(tmp_path, text, "box", gateway), network_log.read(tmp_path)

    return take


@pytest.fixture
def double(monkeypatch):
    """Return what the doubles of the two programs share."""
    monkeypatch.syspath_prepend(PROGRAMS.parent)
    return importlib.import_module("double")


def said(connections):
    return [(c.host, c.port, c.allowed, c.reason, c.count) for c in connections]


def test_an_entry_for_each_request_is_read(taken):
    unread, found = taken(DOCKER)
    assert unread == ""
    assert said(found) == [("a.example", 443, True, "open", 1), ("b.example", 80, False, "not listed", 1)]
    assert found[0].at == datetime(2026, 1, 29, 10, 15, 23, tzinfo=UTC)


def test_an_entry_for_each_host_is_read_with_how_often_it_was_asked_for(taken):
    unread, found = taken(SBX)
    assert unread == ""
    reason = "No matching allow rule (default deny)"
    assert said(found) == [("a.example", 443, True, "open", 438), ("b.example", 80, False, reason, 1)]
    assert found[1].at == datetime(2026, 10, 9, 11, 1, 10, 517026, tzinfo=UTC)


def test_the_models_own_way_is_left_out_unless_it_was_refused(taken):
    at = {"last_seen": "2026-10-09T13:01:10Z"}
    ways = [{"host": "host.docker.internal:8123"} | at, {"host": "localhost:9"} | at]
    _, found = taken({"allowed_hosts": ways, "blocked_hosts": ways[:1]}, gateway="localhost:8123")
    assert [(c.host, c.port, c.allowed) for c in found] == [
        ("localhost", 8123, False),
        ("localhost", 9, True),
    ]
    _, found = taken({"allowed_hosts": [{"host": "api.anthropic.com"} | at]})
    assert found == ()


@pytest.mark.parametrize("empty", ["[]", "null"])
def test_a_log_of_nothing_is_known_by_its_keys(taken, empty):
    for key in ("entries", "blocked_hosts", "allowed_hosts"):
        assert taken(f'Starting daemon...\n{{"{key}": {empty}}}'.encode()) == ("", ())


@pytest.mark.parametrize("printed", ["{}", "[]", '[{"host": "a"}]', '{"entries": {"0": 1}}', "no log"])
def test_another_form_is_told_with_what_was_printed(taken, printed):
    unread, found = taken(printed.encode())
    assert unread.startswith(f"the proxy's log has a form that isn't known ({printed[:9]}")
    assert unread.endswith("; please report it, with the program's version")
    assert found == ()


def test_nothing_at_all_is_told_and_much_is_cut(taken):
    assert "(nothing was printed)" in taken(b"")[0]
    assert len(taken(b"x" * 10_000)[0]) < 500


def test_entries_that_say_too_little_are_counted(taken):
    odd = [{"host": "a.example:443"}, {"host": "a.example:x", "last_seen": "2026-10-09T13:01:10Z"}, 7]
    unread, found = taken({"blocked_hosts": odd + SBX["blocked_hosts"]})
    assert unread.startswith("3 of 4 entries in the proxy's log can't be read; please report it")
    assert [c.host for c in found] == ["b.example"]


RULES = {
    "default": "allow",
    "allow": ["a.b.example", "*.example:8443", "localhost:9", "10.1.2.3"],
    "deny": ["*.example", "a.b.example:22", "10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "*:443"],
}


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("a.b.example", 80, True),  # the host, before a wildcard
        ("a.b.example", 22, False),  # host and port, before the host
        ("c.example", 80, False),
        ("c.example", 8443, True),  # the longer wildcard
        ("localhost", 9, True),
        ("localhost", 10, False),
        ("10.1.2.3", 80, True),  # an address, before its range
        ("172.31.0.1", 80, False),
        ("192.0.2.1", 443, False),
        ("192.0.2.1", 80, True),
    ],
)
def test_the_double_weighs_rules_as_docker_sandbox_is_documented_to(double, host, port, allowed):
    assert double.allows({"policy": RULES}, host, port) == allowed


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["//[", "0001-01-01T00+09"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["entries", "blocked_hosts", "allowed_hosts", *SBX["blocked_hosts"][0], *DOCKER["entries"][0]]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@given(ANYTHING)
def test_any_form_is_borne_and_what_is_read_of_it_is_a_connection(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("run")
    unread = write_log(folder, json.dumps(value).encode(), "box", None)
    assert isinstance(unread, str)
    for connection in network_log.read(folder):
        assert connection.host
        assert connection.at.tzinfo is not None
        assert connection.count > 0
