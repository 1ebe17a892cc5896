"""The proxy of one sandbox: applies the policy, adds the credential, writes down what was asked for.

proxy.py STATE NAME ADDRESS: prints its port. `api.anthropic.test` stands for Anthropic's API, and is
led to what CCNB_DOUBLE_API names.
"""

import json
import os
import select
import socket
import socketserver
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
import double

STATE, NAME, ADDRESS = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
API = "api.anthropic.test"


def read(file, default):
    return json.loads(file.read_text()) if file.exists() else default


def note(method, url, action):
    entry = {
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "sandbox": NAME,
        "type": "request",
        "method": method,
        "url": url,
        "action": action,
    }
    with (STATE / f"{NAME}.log").open("a") as file:
        file.write(json.dumps(entry) + "\n")


class Handler(socketserver.StreamRequestHandler):
    """One request of one connection."""

    def handle(self):
        words = self.rfile.readline().decode("latin-1").split()
        if len(words) != 3:
            return
        method, url, _ = words
        headers = []
        while line := self.rfile.readline().decode("latin-1").strip():
            headers.append(tuple(part.strip() for part in line.split(":", 1)))
        target = urlsplit(url if method != "CONNECT" else f"//{url}")
        host = "localhost" if target.hostname == "host.docker.internal" else target.hostname
        port = target.port or (443 if method == "CONNECT" else 80)
        shown = f"https://{url}" if method == "CONNECT" else url
        if not double.allows(read(STATE / f"{NAME}.sandbox", {}), host, port):
            note(method, shown, "denied")
            body = (
                f"Blocked by network policy: domain {host}:{port}\ndetail: no matching allow rule\n".encode()
            )
            self.wfile.write(
                b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            self.wfile.write(body)
            return
        note(method, shown, "allowed")
        try:
            self.pass_on(method, host, port, target, headers)
        except OSError:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    def pass_on(self, method, host, port, target, headers):
        address = (host, port)
        if host == API and "CCNB_DOUBLE_API" in os.environ:
            name, _, number = os.environ["CCNB_DOUBLE_API"].partition(":")
            address = (name, int(number))
        with socket.create_connection(address) as there:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                length = 0
                path = (target.path or "/") + (f"?{target.query}" if target.query else "")
                head = [f"{method} {path} HTTP/1.1"]
                for name, value in self.with_credential(host, headers):
                    if name.lower() == "content-length":
                        length = int(value)
                    if name.lower() not in ("connection", "proxy-connection", "proxy-authorization"):
                        head.append(f"{name}: {value}")
                there.sendall(("\r\n".join([*head, "Connection: close"]) + "\r\n\r\n").encode("latin-1"))
                there.sendall(self.rfile.read(length))
            self.pump(there)

    def with_credential(self, host, headers):
        """Put the real key where the sandbox's stand-in is."""
        secret = read(STATE / "secrets.json", {}).get("anthropic")
        if host != API or secret is None:
            return headers
        kept = [(n, v) for n, v in headers if n.lower() not in ("x-api-key", "authorization")]
        return [*kept, ("x-api-key", secret)]

    def pump(self, there):
        here = self.connection
        while True:
            for ready in select.select([here, there], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (there if ready is here else here).sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


with Server((ADDRESS, 0), Handler) as server:
    print(server.server_address[1], flush=True)
    sys.stdout.close()
    server.serve_forever()
