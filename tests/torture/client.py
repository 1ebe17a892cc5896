"""The client that is harmed: it starts a run, or attaches to one, and waits for its end.

`client.py start OPTIONS` prints the run's id, then its outcome; the run's secret comes by standard input.
`client.py attach RUN_ID` prints the outcome. With TORTURE_AT=SIGNAL:N it sends itself that signal when
coroutines of ccnb have stopped N times, be it to wait or for good.
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import ccnb

PACKAGE = str(Path(ccnb.__file__).parent)


def strike_at_await(number: int, blow: signal.Signals) -> None:
    """Have the signal sent; the interpreter's own hook counts, in threads that are made after this."""
    stops = itertools.count(1)

    def see(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        is_ours = code.co_flags & inspect.CO_COROUTINE and code.co_filename.startswith(PACKAGE)
        if event == "return" and is_ours and next(stops) == number:
            os.kill(os.getpid(), blow)

    threading.setprofile(see)


def main(what: str, given: str) -> None:
    """Do what the command line says."""
    if "TORTURE_AT" in os.environ:
        blow, _, number = os.environ["TORTURE_AT"].partition(":")
        strike_at_await(int(number), signal.Signals[blow])
    if what == "attach":
        print(ccnb.attach(given).result().outcome)
        return
    options = json.loads(given)
    options["env"]["HIDDEN"] = ccnb.Secret(sys.stdin.readline().strip())
    run = ccnb.start("Do it", **options)
    print(run.run_id, flush=True)
    print(run.result(), flush=True)


main(*sys.argv[1:])
