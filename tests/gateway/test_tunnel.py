"""A tunnel between two real sockets: when it ends."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ccnb.gateway.tunnel import Tunnel


class Leap(asyncio.SelectorEventLoop):
    """A loop whose time leaps to the next timer as soon as there is nothing to read: no load delays it."""

    def __init__(self):
        super().__init__()
        self._now_s = 0.0
        select = self._selector.select

        def leap(timeout=None):
            found = select(0 if timeout else timeout)
            if not found and timeout:
                self._now_s += timeout
            return found

        self._selector.select = leap

    def time(self):
        return self._now_s

    def stall(self, seconds):
        """Let time pass in which nothing is done."""
        self._now_s += seconds


async def ends(tunnel_seconds: dict[str, float], *, talk_s: float = 0, half_close: bool = False) -> float:
    """Return the seconds until a tunnel has ended whose client talks for a while and is silent then."""
    time = asyncio.get_running_loop().time
    near, client = socket.socketpair()
    far, host = socket.socketpair()
    streams = [await asyncio.open_connection(sock=one) for one in (client, far)]
    tunnel = Tunnel(*streams, **tunnel_seconds)
    began = time()
    running = asyncio.ensure_future(tunnel.run())
    while time() - began < talk_s:
        near.send(b"x")
        await asyncio.sleep(0.05)
    if half_close:
        near.shutdown(socket.SHUT_WR)
    await running
    took_s = time() - began
    tunnel.close()
    await asyncio.sleep(0)
    for side in (near, host):
        side.close()
    return took_s


def seconds(work) -> float:
    with asyncio.Runner(loop_factory=Leap) as runner:
        return runner.run(work)


def test_silence_ends_it():
    assert seconds(ends({"idle_s": 0.3})) == pytest.approx(0.3)


def test_talk_keeps_it():
    assert seconds(ends({"idle_s": 0.3}, talk_s=0.7)) == pytest.approx(1.0, abs=0.06)


def test_a_half_of_it_is_waited_for_less_long():
    took_s = seconds(ends({"idle_s": 60, "half_closed_s": 0.3}, half_close=True))
    assert took_s == pytest.approx(0.3)


def test_what_comes_at_its_very_end_is_no_failure():
    async def late():
        near, client = socket.socketpair()
        far, host = socket.socketpair()
        tunnel = Tunnel(
            await asyncio.open_connection(sock=client), await asyncio.open_connection(sock=far), idle_s=0.3
        )
        running = asyncio.ensure_future(tunnel.run())
        await asyncio.sleep(0.1)
        near.send(b"x")
        asyncio.get_running_loop().stall(5)
        await running
        tunnel.close()
        near.close()
        host.close()

    seconds(late())
