"""A closed network of a sandbox: what Docker's proxy lets through, and what its log says of it."""

from __future__ import annotations

import pytest

import ccnb
from tests.conformance.test_attach import killed_at_first_event
from tests.conformance.test_modes import run_until_clean
from tests.conftest import OTHERS, SANDBOXES
from tests.waiting import wait_for

ASKED = {
    "http://host.docker.internal:9": ("localhost", 9),
    "https://a.example.org": ("a.example.org", 443),
    "http://a.example.org": ("a.example.org", 80),
    "https://example.com": ("example.com", 443),
}
"""What git is asked to look at, and what the proxy is asked for by that."""


@pytest.fixture(params=["sandbox"] if "sandbox" in OTHERS else SANDBOXES)
def mode(request, select_mode):
    """Run the test in mode `sandbox`, by each program that there is."""
    return select_mode(request.param)


@pytest.mark.parametrize("network", ["none", ["localhost:9", "*.example.org"]])
@pytest.mark.usefixtures("holds_lists")
def test_a_closed_network_is_held_by_the_proxy_and_told(home, places, mode, network):
    check = f"for url in {' '.join(ASKED)}; do git ls-remote $url/x; done 2>&1"
    result = run_until_clean(places, mode=mode, network=network, api="script:demo", check=check)
    assert (result.outcome, result.num_turns, result.warnings) == ("success", 6, ())
    listed = {("localhost", 9), ("a.example.org", 443)} if network != "none" else set()
    assert [(use.host, use.port, use.allowed) for use in result.network] == [
        (*asked, asked in listed) for asked in ASKED.values()
    ]
    assert result.check.output.count("403") == len(ASKED) - len(listed)


@pytest.mark.usefixtures("holds_lists")
def test_what_was_allowed_and_refused_outlives_the_client(home, places, mode):
    steps = {
        "setup": "git ls-remote https://a.example.org/x; true",
        "check": "git ls-remote https://example.com/x",
    }
    run_id = killed_at_first_event(
        {"mode": mode, "api": "script:demo", "network": ["*.example.org"], **steps}
    )
    result = ccnb.attach(run_id).result()
    assert (result.outcome, result.warnings) == ("success", ())
    assert [(use.host, use.allowed) for use in result.network] == [
        ("a.example.org", True),
        ("example.com", False),
    ]
    assert (result.network_use.allowed, result.network_use.refused_hosts) == (1, ("example.com:443",))
    wait_for(lambda: places(mode) == [])
