"""What a place is given so that all that runs in it reaches the hosts of its list, and no other."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath

from ccnb import network
from ccnb.gateway import policy
from ccnb.gateway.meeting import EGRESS_SOCKET
from ccnb.gateway.registration import Registration

PORT = 3128
"""Of the relay, on the place's own loopback: no other has it, unless the image brings one."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def environment(run: Registration, api_socket: str) -> dict[str, str]:
    """Return the variables that lead programs to the egress proxy, and the relay to its socket."""
    url = f"http://{run.run_id}:{policy.secret_of(run)}@127.0.0.1:{PORT}"
    # Plain http too: it is refused there, and by a sentence instead of a name that can't be resolved.
    env = {name: url for word in ("https_proxy", "http_proxy") for name in (word, word.upper())}
    # Loopback is the place's own, but for the name of it by which the caller's is listed.
    listed = {rule.host for rule in network.rules(run.hosts)}
    env |= dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(h for h in _LOOPBACK if h not in listed))
    env["CCNB_RELAY"] = f"{PORT} {PurePosixPath(api_socket).with_name(EGRESS_SOCKET)}"
    return env


def secrets(run: Registration) -> dict[str, str]:
    """Return the spellings of the run's secret that must not show, each with a name."""
    secret = policy.secret_of(run)
    header = base64.b64encode(f"{run.run_id}:{secret}".encode()).decode()
    return {"proxy secret": secret, "proxy header": header}
