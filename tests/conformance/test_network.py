"""A list of hosts, seen from inside real places: what is listed works, and nothing else is there at all."""

from __future__ import annotations

import contextlib
import http.server
import io
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ccnb
from ccnb.engine import connect
from ccnb.gateway import process as gateway
from ccnb.gateway.policy import own_addresses
from ccnb.store import Store
from tests.conformance.test_attach import client, kill
from tests.conformance.test_modes import DEMO, run_until_clean
from tests.conftest import DOUBLES, SHARED_KERNEL
from tests.searching import content_of
from tests.waiting import kill_gateway, wait_for

pytestmark = pytest.mark.needs("openssl")

GET = "node /workspace/get.mjs"
TUNNELS = 50
WITHOUT_NODE = "localhost/ccnb-test-without-node:1"
KILL_RELAY = """for process in /proc/[0-9]*; do
    case $(tr '\\0' ' ' <$process/cmdline) in node*/relay.mjs*) kill -9 ${process#/proc/} ;; esac
done 2>/dev/null"""


@pytest.fixture(params=SHARED_KERNEL)
def mode(request):
    """Run the test in each mode whose places take the gateway's socket; a virtual machine's don't."""
    return request.param


class Hello(http.server.BaseHTTPRequestHandler):
    """Says hello, or sends as many megabytes as the path says."""

    def do_GET(self):
        size = int(self.path.strip("/") or 0) * 1_000_000
        self.send_response(200)
        self.send_header("Content-Length", str(size or 6))
        self.end_headers()
        if not size:
            self.wfile.write(b"hello\n")
        for _ in range(size // 100_000):
            self.wfile.write(b"x" * 100_000)

    def log_message(self, *_):
        """Say nothing on standard error."""


class Tls:
    """A TLS server on loopback, with a certificate of its own making."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        key = folder / "key.pem"
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ccnb test"]
        files = ["-keyout", str(key), "-out", str(self.ca)]
        subprocess.run(["openssl", *make, "-addext", names, *files], capture_output=True, check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.entry = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"https://{self.entry}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Iterator[Tls]:
    """Return a server that a place may or may not reach."""
    server = Tls(tmp_path_factory.mktemp("tls"))
    yield server
    server.close()


@pytest.fixture
def tools(tmp_path, tls) -> str:
    """Return a workspace with what a test needs in the place."""
    folder = tmp_path / "workspace"
    shutil.copytree(DOUBLES / "network", folder)
    shutil.copy(tls.ca, folder)
    return str(folder)


def test_the_listed_host_works_and_every_other_is_refused_by_a_sentence(
    home, places, mode, agent, tls, tools
):
    commands = f"init; {GET} {tls.url} ca.pem >said; {GET} https://example.org/ ca.pem >>said; result"
    result = run_until_clean(
        places, network=[tls.entry], workspace=tools, check="cat said", **agent(mode, commands)
    )
    assert result.outcome == "success"
    refusal = "403 ccnb: network policy of this run doesn't allow example.org:443; add it to network=[...]"
    assert result.check.output.splitlines() == ["hello", refusal]
    wait_until_closed(result)
    allowed, refused = result.network
    assert (allowed.host, allowed.allowed, allowed.reason) == ("127.0.0.1", True, "open")
    assert allowed.bytes_down > allowed.bytes_up > 100
    assert (refused.host, refused.port, refused.allowed) == ("example.org", 443, False)
    use = result.network_use
    assert (use.allowed, use.refused, use.refused_hosts) == (1, 1, ("example.org:443",))


def wait_until_closed(result):
    """Wait until the gateway has seen the end of each connection, which may come after the run's own."""
    wait_for(lambda: all(connection.duration_s is not None for connection in result.network))


def test_setup_and_check_reach_it_too(home, places, mode, agent, tls, tools):
    get = f"{GET} {tls.url} ca.pem"
    result = run_until_clean(
        places, network=[tls.entry], workspace=tools, setup=get, check=get, **agent(mode, "init; result")
    )
    assert result.check.output == "hello\n"
    assert len(result.network) == 2


def test_there_is_no_other_way_out(home, places, mode, agent, tls, tools):
    with contextlib.ExitStack() as servers:
        wide = servers.enter_context(socket.create_server(("0.0.0.0", 0)))  # noqa: S104 - it is tried from a place
        hidden = servers.enter_context(socket.socket(socket.AF_UNIX))
        hidden.bind(f"\0ccnb-test-{os.getpid()}")
        hidden.listen()
        own = next(a for a in sorted(own_addresses()) if "." in a and not a.startswith("127."))
        ways = {
            "the listed host itself": f"tcp:{tls.entry}",
            "this machine": f"tcp:{own}:{wide.getsockname()[1]}",
            "its loopback": f"tcp:127.0.0.1:{wide.getsockname()[1]}",
            "the internet": "tcp:1.1.1.1:443",
            "metadata": "tcp:169.254.169.254:80",
            "a name": "name:example.org",
            "a resolver": "dns:1.1.1.1",
            "an engine resolver": "dns:127.0.0.11",
            "raw IP": "raw:",
            "raw frames": "packet:",
            "an abstract socket": f"abstract:ccnb-test-{os.getpid()}",
        }
        words = " ".join(f"'{what}={way}'" for what, way in ways.items())
        result = run_until_clean(
            places,
            network=[tls.entry],
            workspace=tools,
            check=f"perl escape.pl {words}; cat /proc/net/dev",
            **agent(mode, "init; result"),
        )
    said = result.check.output
    assert re.findall(r"^(.*): (\w+)$", said, re.MULTILINE)[: len(ways)] == [(what, "shut") for what in ways]
    interfaces = set(re.findall(r"^ *(\w+):[ \d]+$", said, re.MULTILINE))
    # Kernels show tunnels that are down and lead nowhere; nothing else.
    assert {name for name in interfaces if not re.search("tun|gre|ip|sit", name)} == {"lo"}
    assert result.network == ()


def test_an_open_network_is_the_engines_and_no_machines_for_a_script(home, places, mode, agent):
    check = "tail -n +3 /proc/net/dev | cut -d: -f1; env"
    result = run_until_clean(places, network="open", check=check, **agent(mode, "init; result"))
    assert ("eth0" in result.check.output.split()) == (mode != "local")
    assert "proxy" not in result.check.output.lower()
    assert result.network_use is None


@pytest.mark.needs("perl")
def test_the_ways_out_that_are_tried_are_open_from_here(tmp_path):
    """Else the test above would hold nothing."""
    with socket.create_server(("127.0.0.1", 0)) as wide, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind(f"\0ccnb-test-{os.getpid()}")
        hidden.listen()
        ways = [
            f"a=tcp:127.0.0.1:{wide.getsockname()[1]}",
            f"b=abstract:ccnb-test-{os.getpid()}",
            "c=name:localhost",
            *(["d=raw:", "e=packet:"] if os.geteuid() == 0 else []),
        ]
        command = ["perl", str(DOUBLES / "network" / "escape.pl"), *ways]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.count("open") == len(ways)


def test_a_neighbour_is_out_of_reach(home, places, engine_mode, agent, tls, tools):
    serving = "init; node -e 'require(\"net\").createServer(s => s.end()).listen(8000)' & sleep 300; result"
    neighbour = ccnb.start("Serve", network="open", **agent(engine_mode, serving))
    wait_for(lambda: len(neighbour.events) == 1)
    inspected = connect(engine_mode).inspect(Store(home).place(neighbour.run_id)["id"])
    networks = inspected["NetworkSettings"]["Networks"].values()
    address = next(
        filter(None, [inspected["NetworkSettings"].get("IPAddress"), *(n["IPAddress"] for n in networks)])
    )
    wait_for(lambda: listens(address, 8000))
    result = ccnb.run(
        "Try",
        network=[tls.entry],
        workspace=tools,
        check=f"perl escape.pl n=tcp:{address}:8000; {GET} https://{address}:8000/ ca.pem",
        **agent(engine_mode, "init; result"),
    )
    assert listens(address, 8000)
    neighbour.cancel()
    shut, refused = result.check.output.splitlines()
    assert shut == "n: shut"
    assert refused.startswith("403 ccnb: network policy")
    neighbour.result()
    wait_for(lambda: places(engine_mode) == [])


def listens(host: str, port: int) -> bool:
    """Return whether somebody answers there, by a connection from here."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 5):
        return True
    return False


def test_one_place_can_not_use_anothers_list(home, places, mode, agent, tls, tools):
    rich = agent(mode, "init; echo $HTTPS_PROXY >proxy; sleep 300; result")
    first = ccnb.start("Do it", network=[tls.entry], **rich)
    secret = first_line(Store(home).folder(first.run_id).workspace / "proxy")
    name, other = secret.removeprefix("http://").split(":")[:2]
    foreign = (
        f"http://{name}:nothing@127.0.0.1:3128",
        "http://127.0.0.1:3128",
        f"http://$mine:{other.partition('@')[0]}@127.0.0.1:3128",
    )
    tries = "; ".join(f"HTTPS_PROXY={proxy} {GET} {tls.url} ca.pem" for proxy in foreign)
    mine = "mine=${HTTPS_PROXY#http://} mine=${mine%%:*}"
    poor = agent(mode, f"init; ({mine}; {GET} {tls.url} ca.pem; {tries}) >said; result")
    result = ccnb.run("Do it", network=["a.example"], workspace=tools, check="cat said", **poor)
    first.cancel()
    assert [line[:3] for line in result.check.output.splitlines()] == ["403", "407", "407", "407"]
    assert first.result().network == ()
    assert [c.allowed for c in result.network] == [False]
    wait_for(lambda: places(mode) == [])


def first_line(path: Path) -> str:
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text().splitlines()[0]


def test_the_secret_shows_nowhere(home, places, mode, agent, tls, tools):
    header = "printf %s:%s $USER_OF $WORD | base64 -w0"
    take = "rest=${HTTPS_PROXY#http://} USER_OF=${rest%%:*} rest=${rest#*:} WORD=${rest%%@*}"
    commands = f'init; {take}; say "$HTTPS_PROXY $WORD $({header})"; echo $WORD >word; result'
    result = run_until_clean(places, network=[tls.entry], workspace=tools, **agent(mode, commands))
    word = Path(tools, "word").read_text().strip()
    assert len(word) == 64
    assert result.events[1].text.count("[redacted]") == 3
    assert word not in str(result.to_dict())
    assert [file.name for file in home.glob("ccnb.sqlite3*") if word.encode() in content_of(file)] == []


def test_a_secret_that_is_asked_for_as_a_host_shows_nowhere_either(home, places, mode, agent, tools):
    options = agent(mode, f"init; {GET} https://$KEY.b.example/ ca.pem; result")
    options["env"]["KEY"] = ccnb.Secret("hunter2-hunter2")
    result = run_until_clean(places, network=["a.example"], workspace=tools, **options)
    assert [c.host for c in result.network] == ["[redacted].b.example"]
    assert result.network_use.refused_hosts == ("[redacted].b.example:443",)


@pytest.mark.parametrize("network", ["none", ["a.example"]])
def test_the_real_agent_does_the_demo_task_and_asks_for_nothing_else(home, places, mode, network):
    result = run_until_clean(places, "Write a word counter", mode=mode, network=network, **DEMO)
    assert (result.outcome, result.error) == ("success", None)
    assert result.check.passed
    assert result.network == ()


def test_the_real_agents_own_tools_reach_the_listed_host(home, places, mode, tls, tools, tmp_path):
    script = tmp_path / "clone.yaml"
    git = (
        f"git -c http.sslCAInfo=$PWD/ca.pem ls-remote {tls.url} 2>&1; git ls-remote https://example.org/ 2>&1"
    )
    script.write_text(f"""
- say: I look.
  tools:
    - Bash: {{command: "{git}", description: look}}
- say: Done.
""")
    result = run_until_clean(places, mode=mode, network=[tls.entry], workspace=tools, api=f"script:{script}")
    assert (result.outcome, result.text) == ("success", "Done.")
    (told,) = [tool.text for event in result.events for tool in event.tool_results]
    assert "CONNECT tunnel failed, response 403" in told
    assert [(c.allowed, c.host) for c in result.network] == [(True, "127.0.0.1"), (False, "example.org")]


@pytest.mark.needs("docker")
def test_in_an_image_without_node_the_agent_itself_is_the_relay(home, places, tls, tools):
    check = f"! command -v node; sh get.sh {tls.entry} ca.pem; sh get.sh example.org:443 ca.pem"
    result = run_until_clean(
        places,
        mode="docker",
        image="debian:bookworm-slim",
        network=[tls.entry],
        workspace=tools,
        api="script:demo",
        check=check,
    )
    assert result.outcome == "success"
    assert "hello" in result.check.output
    assert "403 ccnb: network policy of this run doesn't allow example.org:443" in result.check.output
    assert [c.allowed for c in result.network] == [True, False]


@pytest.mark.needs("docker")
def test_where_nothing_can_be_the_relay_the_run_says_so(home, places, agent):
    options = agent("docker", "init; result")
    recipe = io.BytesIO(f"FROM {options['image']}\nRUN rm /usr/local/bin/node\n".encode())
    list(connect("docker").api.build(fileobj=recipe, tag=WITHOUT_NODE, rm=True))
    with pytest.raises(ccnb.CcnbError, match="could start the relay to the egress proxy in this image"):
        ccnb.run("Do it", network=["a.example"], **options | {"image": WITHOUT_NODE})
    assert ccnb.run("Do it", **options | {"image": WITHOUT_NODE}).outcome == "success"
    wait_for(lambda: places("docker") == [])


def test_many_tunnels_at_once_and_much_through_one(home, places, mode, agent, tls, tools):
    many = f"i=0; while [ $i -lt {TUNNELS} ]; do {GET} {tls.url}1 ca.pem | wc -c & i=$((i+1)); done; wait"
    large = f"{GET} {tls.url}50 ca.pem | wc -c"
    result = run_until_clean(
        places,
        network=[tls.entry],
        workspace=tools,
        check=f"({many}); {large}",
        **agent(mode, "init; result"),
    )
    assert [int(line) for line in result.check.output.split()] == [1_000_000] * TUNNELS + [50_000_000]
    assert len(result.network) == TUNNELS + 1
    wait_until_closed(result)
    assert sum(c.bytes_down for c in result.network) > 100_000_000


def test_what_was_allowed_and_refused_outlives_the_client(home, places, mode, agent, tls, tools):
    commands = f"""init; {GET} {tls.url} ca.pem; {GET} https://a.example/ ca.pem; say one
        until [ -e go ]; do sleep 0.1; done; {GET} {tls.url} ca.pem; result"""
    process = client(agent(mode, commands) | {"network": [tls.entry], "workspace": tools})
    run_id = process.stdout.readline().strip()
    for _ in range(2):
        process.stdout.readline()
    kill(process)
    Path(tools, "go").touch()
    result = ccnb.attach(run_id).result()
    assert result.outcome == "success"
    assert [(c.host, c.allowed) for c in result.network] == [
        ("127.0.0.1", True),
        ("a.example", False),
        ("127.0.0.1", True),
    ]
    assert (result.network_use.allowed, result.network_use.refused) == (2, 1)
    assert ccnb.attach(run_id).result().network == result.network
    wait_for(lambda: places(mode) == [])


def test_a_gateway_that_was_killed_and_started_again_serves_the_place(home, places, mode, agent, tls, tools):
    get, wait = f"{GET} {tls.url} ca.pem >>said", "until [ -e go ]; do sleep 0.1; done"
    commands = f"init; {get}; touch ready; {wait}; {get}; result"
    run = ccnb.start("Do it", network=[tls.entry], workspace=tools, check="cat said", **agent(mode, commands))
    wait_for(Path(tools, "ready").exists)
    kill_gateway(home)
    gateway.ensure(home)
    Path(tools, "go").touch()
    result = run.result()
    assert result.check.output == "hello\nhello\n"
    assert [c.allowed for c in result.network] == [True, True]
    wait_for(lambda: places(mode) == [])


def test_an_agent_that_ends_the_relay_has_no_network_left(home, places, mode, agent, tls, tools):
    commands = f"init; {KILL_RELAY}; sleep 0.5; {GET} {tls.url} ca.pem >said; result"
    result = run_until_clean(
        places, network=[tls.entry], workspace=tools, check="cat said", **agent(mode, commands)
    )
    assert result.outcome == "success"
    assert result.check.output == "ECONNREFUSED\n"


def test_a_list_is_refused_where_it_cannot_be_held(home):
    with pytest.raises(ccnb.CcnbError, match="can't be held for a plain process"):
        ccnb.run("Do it", mode="local", isolation="none", network=["a.org"], api="script:demo")


@pytest.mark.parametrize("network", ["none", ["api.anthropic.com"]])
def test_a_credential_in_the_place_and_a_closed_network_do_not_go_together(home, network, monkeypatch):
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "not-a-token-of-anybody")
    with pytest.raises(ccnb.CcnbError, match="use auth='gateway'"):
        ccnb.run("Do it", mode="local", network=network)
