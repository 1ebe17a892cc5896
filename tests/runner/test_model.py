"""How the agent reaches its model, and where a closed network stands in the way."""

from __future__ import annotations

import pytest

from ccnb.errors import SpecError
from ccnb.gateway import registration
from ccnb.mode.base import Image, Layout
from ccnb.runner import model
from ccnb.spec import RunSpec
from ccnb.store import Store
from tests.waiting import gateway_listens

LAYOUT = Layout("/ccnb", "/workspace", "/run/ccnb-api/api.sock")
IN_A_MACHINE = Image(api_by_tcp=("127.0.0.1", "host.docker.internal"))


def access(home, network, image, *, archive=False):
    spec = RunSpec(prompt="x", api="script:demo", network=network)
    return model.open_access(
        spec, run_id="r1", store=Store(home), layout=LAYOUT, image=image, archive=archive, lifetime_s=60
    )


@pytest.mark.parametrize("network", ["none", ["a.example"]])
@pytest.mark.parametrize(("image", "archive"), [(IN_A_MACHINE, False), (Image(), True)])
def test_a_closed_network_is_refused_where_no_socket_can_be_mounted(home, network, image, archive):
    with pytest.raises(SpecError, match=r"^network .* can't be held here: this engine"):
        access(home, network, image, archive=archive)


def test_an_open_network_leads_to_the_gateways_port_by_the_name_of_the_host(home):
    """The gateway itself listens on loopback alone: the machine of the engine passes it on."""
    given = access(home, "open", IN_A_MACHINE)
    ((address, port),) = gateway_listens(home)
    assert address == "127.0.0.1"
    assert given.env == {"ANTHROPIC_BASE_URL": f"http://host.docker.internal:{port}"}
    assert given.socket_folder is None


def test_a_list_gives_the_place_a_proxy_whose_secret_is_hidden(home):
    given = access(home, ["a.example", "localhost:8443"], Image())
    run = registration.read(home, "r1")
    assert run.hosts == ("a.example", "localhost:8443")
    secret, _ = given.hidden.values()
    assert given.env["HTTPS_PROXY"] == given.env["http_proxy"] == f"http://r1:{secret}@127.0.0.1:3128"
    assert given.env["NO_PROXY"] == given.env["no_proxy"] == "127.0.0.1,::1"
    assert given.env["CCNB_RELAY"] == "3128 /run/ccnb-api/egress.sock"


@pytest.mark.parametrize("network", ["open", "none"])
def test_without_a_list_there_is_no_proxy(home, network):
    given = access(home, network, Image())
    assert not [name for name in given.env if "proxy" in name.lower()]
    assert given.hidden == {}
