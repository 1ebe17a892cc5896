"""What a run's list of hosts let through and refused, as it is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ccnb import render
from ccnb.results import Connection, NetworkUse
from tests.render.test_runs import RECORD, shown

ALLOWED = Connection(
    datetime.now(UTC),
    "a.org",
    443,
    allowed=True,
    reason="open",
    bytes_up=900,
    bytes_down=1500,
    duration_s=0.25,
)
REFUSED = Connection(datetime.now(UTC), "b.org\x1b[2J", 8443, allowed=False, reason="not listed")


def test_the_summary_says_how_many_and_which_were_refused():
    record = replace(RECORD, network_use=NetworkUse(1, 2, ("b.org:443", "c.org:443")))
    text = shown(render.summary(record, kept_in="/x"))
    assert "1 connection allowed, 2 refused: b.org:443, c.org:443" in text
    quiet = replace(RECORD, network_use=NetworkUse(2))
    assert "2 connections allowed" in shown(render.summary(quiet, kept_in="/x"))
    assert "refused" not in shown(render.summary(quiet, kept_in="/x"))
    assert "network" not in shown(render.summary(RECORD, kept_in="/x"))


def test_each_connection_has_a_row_and_no_power_over_the_terminal():
    text = shown(render.network_table([ALLOWED, REFUSED]))
    for words in ("a.org", "443", "allowed", "900 B", "1.5 kB", "0.25 s", "b.org", "refused", "not listed"):
        assert words in text
    assert "\x1b" not in text
    assert "times" not in text
    assert "not listed (7 times)" in shown(render.network_table([replace(REFUSED, count=7)]))
