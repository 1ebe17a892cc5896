"""One loop in the background: it is waited for, and Ctrl-C asks for an end and waits for that too."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

from ccnb import _loop
from tests.waiting import wait_for


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_who_waits():
    """Interrupt the main thread when it has come so far as to wait for the loop."""

    def waits():
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None and frame.f_code is not _loop._wait_for_end.__code__:
            frame = frame.f_back
        return frame is not None

    wait_for(waits)
    interrupt()


def test_a_result_and_an_error_come_from_the_loop():
    async def work(wanted):
        await asyncio.sleep(0)
        return 1 // wanted

    assert _loop.wait(_loop.submit(work(1)), lambda: None) == 1
    with pytest.raises(ZeroDivisionError):
        _loop.wait(_loop.submit(work(0)), lambda: None)


def test_it_is_awaited_on_a_loop_of_the_caller():
    async def work():
        return threading.current_thread().name

    async def caller():
        return await _loop.bridge(_loop.submit(work()))

    assert asyncio.run(caller()) == "ccnb-loop"


def test_ctrl_c_asks_for_the_end_and_waits_until_all_is_cleaned_up():
    ended, asked = [], []
    begun = threading.Event()

    async def work():
        stop = asyncio.Event()
        asked.append(lambda: _loop.call(stop.set))
        begun.set()
        await stop.wait()
        await asyncio.sleep(0.1)
        ended.append("cleaned up")

    future = _loop.submit(work())
    assert begun.wait(20)
    threading.Thread(target=interrupt_who_waits).start()
    with pytest.raises(KeyboardInterrupt):
        _loop.wait(future, asked[0])
    assert ended == ["cleaned up"]


def test_ctrl_c_cancels_what_is_done_at_once():
    ended = []
    begun = threading.Event()

    async def work():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    def interrupt_when_begun():
        begun.wait(20)
        interrupt_who_waits()

    threading.Thread(target=interrupt_when_begun).start()
    with pytest.raises(KeyboardInterrupt):
        _loop.run(work())
    wait_for(lambda: ended == ["cancelled"])


def test_what_was_left_behind_comes_to_its_end_when_the_program_does():
    program = """
import asyncio
from ccnb import _loop

said = []

async def behind():
    while not said:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    print("removed", flush=True)

async def work():
    _loop.leave_behind(behind())

_loop.run(work())
print("result", flush=True)
said.append(True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.returncode) == (["result", "removed"], 0)


def test_a_forked_process_has_a_loop_of_its_own():
    async def work():
        return os.getpid()

    assert _loop.run(work()) == os.getpid()
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(_ask_the_loop).result(60) not in (None, os.getpid())


def _ask_the_loop():
    async def work():
        return os.getpid()

    return _loop.run(work())
