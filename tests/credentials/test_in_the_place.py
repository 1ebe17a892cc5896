"""The real agent takes an empty variable for one that isn't set, and the address that is written out."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ccnb import claude, credentials

OAUTH, KEY = credentials.VARIABLES
TOKEN = "sk-ant-oat01-TOKEN-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - a dummy
AGENT = claude.find_program()

pytestmark = pytest.mark.skipif(AGENT is None, reason="the claude program is not installed")


@pytest.fixture
def api():
    """Return a server that refuses everything, with the requests that it got: method, path, credentials."""
    seen = []

    class Refusing(BaseHTTPRequestHandler):
        def refuse(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.path, self.headers["Authorization"], self.headers["x-api-key"]))
            body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET = do_HEAD = do_CONNECT = refuse  # noqa: N815 - http.server's names

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()


def ask(here, **more):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(here),
        "CLAUDE_CONFIG_DIR": str(here / "config"),
        "CLAUDE_CODE_MAX_RETRIES": "0",
        **claude.QUIET,
        **credentials.IN_THE_PLACE,
        **more,
    }
    command = [str(AGENT), "-p", "--output-format=stream-json", "--verbose", "--", "hello"]
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, cwd=here)


@pytest.mark.parametrize(
    ("variable", "sent"), [(OAUTH, (f"Bearer {TOKEN}", None)), (KEY, (None, TOKEN))], ids=["oauth", "key"]
)
def test_the_one_credential_is_what_it_sends(here, api, variable, sent):
    url, seen = api
    ask(here, ANTHROPIC_BASE_URL=url, **{variable: TOKEN})
    requests = [request for request in seen if request[0].startswith("/v1/messages")]
    assert requests
    assert {request[1:] for request in requests} == {sent}


def test_it_asks_the_api_of_the_vendor(here, api):
    """A proxy on this machine hears whom it would talk to, and lets nothing through."""
    url, seen = api
    ask(here, HTTPS_PROXY=url, **{OAUTH: TOKEN})
    assert {request[0] for request in seen} == {"api.anthropic.com:443"}
