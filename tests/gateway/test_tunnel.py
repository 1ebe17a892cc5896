"""A tunnel between two real sockets: when it ends."""

from __future__ import annotations

import asyncio
import socket
import time

from ccnb.gateway.tunnel import Tunnel


async def ends(tunnel_seconds: dict[str, float], *, talk_s: float = 0, half_close: bool = False) -> float:
    """Return the seconds until a tunnel has ended whose client talks for a while and is silent then."""
    near, client = socket.socketpair()
    far, host = socket.socketpair()
    streams = [await asyncio.open_connection(sock=one) for one in (client, far)]
    tunnel = Tunnel(*streams, **tunnel_seconds)
    began = time.monotonic()
    running = asyncio.ensure_future(tunnel.run())
    while time.monotonic() - began < talk_s:
        near.send(b"x")
        await asyncio.sleep(0.05)
    if half_close:
        near.shutdown(socket.SHUT_WR)
    await running
    tunnel.close()
    await asyncio.sleep(0)
    for side in (near, host):
        side.close()
    return time.monotonic() - began


def test_silence_ends_it():
    assert 0.2 < asyncio.run(ends({"idle_s": 0.3})) < 2


def test_talk_keeps_it():
    assert 0.9 < asyncio.run(ends({"idle_s": 0.3}, talk_s=0.7)) < 3


def test_a_half_of_it_is_waited_for_less_long():
    assert 0.2 < asyncio.run(ends({"idle_s": 60, "half_closed_s": 0.3}, half_close=True)) < 2
