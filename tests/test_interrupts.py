"""Ctrl-C is held back for a while, and whoever waits may be interrupted between any two steps."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from itertools import count

import pytest

from ccnb import _loop
from ccnb._interrupts import Flag, uninterrupted


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def interrupted_at(step, function):
    """Call a function with a Ctrl-C at a step of Python's; return whether it came to that step."""
    left = step

    def trace(frame, event, _):
        nonlocal left
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_a_wait_ends_when_the_flag_is_set_or_at_its_limit():
    flag = Flag()
    assert not flag.wait(0.01)
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(20)
    assert flag.wait(0)
    assert flag.is_set()
    flag.clear()
    assert not flag.wait(0.01)


def test_a_flag_that_is_set_wakes_all_who_wait():
    flag, woken = Flag(), []
    waiters = [threading.Thread(target=lambda: woken.append(flag.wait(20))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    flag.set()
    for waiter in waiters:
        waiter.join(20)
    assert woken == [True] * 3


def test_no_set_is_lost_between_a_clear_and_the_next_wait():
    flag, seen, given = Flag(), 0, 0

    def give():
        nonlocal given
        for _ in range(2_000):
            given += 1
            flag.set()

    giver = threading.Thread(target=give)
    giver.start()
    while seen < 2_000:
        assert flag.wait(20)
        flag.clear()
        seen = given
    giver.join()


def set_and_seen(flag):
    assert not flag.wait(0.001)
    flag.set()
    assert flag.wait()
    flag.clear()


def test_ctrl_c_at_any_step_of_a_wait_is_a_ctrl_c_and_does_no_harm():
    # `threading.Event` and `threading.Condition` raise a RuntimeError at some of theirs.
    for step in count(1):
        flag = Flag()
        came = interrupted_at(step, lambda flag=flag: set_and_seen(flag))
        flag.clear()
        assert not flag.wait(0)
        flag.set()
        assert flag.wait(20)
        if not came:
            break
    assert step > 50


def test_ctrl_c_is_held_back_for_a_while_and_comes_then():
    # There are other threads, which could take the signal.
    _loop.run(asyncio.sleep(0))
    seen = []

    def go_on():
        with uninterrupted():
            interrupt()
            time.sleep(0.1)
            seen.append("went on")

    with pytest.raises(KeyboardInterrupt):
        go_on()
    assert seen == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_have_no_ctrl_c_to_hold_back():
    found = []

    def elsewhere():
        with uninterrupted():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
