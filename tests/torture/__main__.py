"""`python -m tests.torture`: do harm to many runs at random moments, and see that nothing is lost.

Every trial has its own random numbers, made of the seed and the trial's number: `--seed S --trial N` does one
again, `--seed S --from N` goes on with a series that was stopped.
"""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import hide_credentials
from tests.torture import leaks
from tests.torture.faults import Fault, all_faults
from tests.torture.scene import Scene, scene
from tests.torture.tasks import MODES, Task, tasks
from tests.torture.verdict import verdict

AWAITS = 800
"""About as many as a client's coroutines do in a run."""
LOOK_S = 0.5
"""How long a look at what the place shows may take."""


def main() -> int:
    """Do the trials and print how many were survived; 1 when one was lost."""
    wanted = _arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ExitStack() as at_end:
        folder = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="ccnb-torture-")))
        hide_credentials(at_end.enter_context(pytest.MonkeyPatch.context()), folder)
        ready = tasks(folder, wanted.mode, at_end)
        possible = _possible(ready, wanted)
        if not possible:
            print("nothing to do: no such fault can be done to what is ready here")
            return 2
        print(
            f"seed {wanted.seed}, modes {', '.join(dict.fromkeys(task.mode for task in ready))}", flush=True
        )
        return _series(wanted, possible, ready)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--faults", type=int, default=150, help="how many in all")
    parser.add_argument("--seed", type=int, help="the series to do; one is drawn and printed otherwise")
    parser.add_argument("--from", type=int, default=0, dest="first", help="go on with this trial")
    parser.add_argument("--trial", type=int, help="do this one of the series only")
    parser.add_argument("--mode", action="append", choices=MODES, help="only in this mode; may be repeated")
    parser.add_argument("--fault", help="only this fault, by its name")
    parser.add_argument("--without", default="", help="not these faults, by their names and with commas")
    wanted = parser.parse_args()
    if wanted.seed is None:
        wanted.seed = random.SystemRandom().randrange(1_000_000)
    return wanted


def _possible(ready: list[Task], wanted: argparse.Namespace) -> list[Fault]:
    """Return the faults that can be done here and are wanted."""
    known = {fault.name for fault in all_faults()}
    without = {name.strip() for name in wanted.without.split(",") if name.strip()}
    named = without | ({wanted.fault} if wanted.fault else set())
    if unknown := named - known:
        sys.exit(f"no fault is called {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    found = []
    for fault in all_faults():
        if fault.name in without or wanted.fault not in (None, fault.name):
            continue
        if fault.missing:
            print(f"without {fault.name}: {fault.missing}")
        elif any(_fits(task, fault) for task in ready):
            found.append(fault)
    return found


def _fits(task: Task, fault: Fault) -> bool:
    has_line = task.line is not None or not fault.needs_line
    return has_line and task.mode in fault.modes and fault.agent in (None, task.agent)


def _drawn(rng: random.Random, possible: list[Fault], ready: list[Task]) -> tuple[Fault, Task]:
    """Draw from all that there is until it can be done: so machines that can do much the same do the same."""
    faults = all_faults()
    while True:
        (fault,) = rng.choices(faults, [fault.weight for fault in faults])
        mode = rng.choice(MODES)
        fitting = [task for task in ready if task.mode == mode and _fits(task, fault)]
        if fault.name in [each.name for each in possible] and fitting:
            return fault, rng.choice(fitting)


def _series(wanted: argparse.Namespace, possible: list[Fault], ready: list[Task]) -> int:
    numbers: Iterable[int] = range(wanted.first, wanted.faults)
    if wanted.trial is not None:
        numbers = [wanted.trial]
    tried, lost, number = 0, [], wanted.first
    try:
        for number in numbers:
            begun = time.monotonic()
            what, complaints = _trial(f"{wanted.seed}:{number}", possible, ready)
            tried += 1
            if complaints:
                lost.append(number)
            said = "; ".join(complaints) or "survived"
            print(f"{number:5} {what:90} {time.monotonic() - begun:5.1f} s  {said}", flush=True)
    except KeyboardInterrupt:
        print(f"stopped; to go on: {_command(wanted, 'from', number)}")
    print(f"{tried} faults tried, {tried - len(lost)} survived, {len(lost)} lost (seed {wanted.seed})")
    for number in lost:
        print(f"again: {_command(wanted, 'trial', number)}")
    return int(bool(lost))


def _command(wanted: argparse.Namespace, option: str, number: int) -> str:
    """Return the command that does a trial, and what follows it, again: the same choices are to be made."""
    words = ["python", "-m", "tests.torture", "--seed", str(wanted.seed), f"--{option}", str(number)]
    if option == "from":
        words += ["--faults", str(wanted.faults)]
    for mode in wanted.mode or ():
        words += ["--mode", mode]
    for name in ("fault", "without"):
        if getattr(wanted, name):
            words += [f"--{name}", getattr(wanted, name)]
    return shlex.join(words)


def _trial(seed: str, possible: list[Fault], ready: list[Task]) -> tuple[str, list[str]]:
    """Do one: return what was done, and what did not hold after it."""
    rng = random.Random(seed)  # noqa: S311 - to be done again, not to be secret
    fault, task = _drawn(rng, possible, ready)
    delay_s = rng.uniform(0, task.lasts_s)
    await_number = int(AWAITS ** rng.random() ** 0.6)
    when = f"number {await_number}" if fault.at_await else f"after {delay_s:.2f} s"
    what = f"{fault.name}, {task}, {when}"
    with scene(task, fault.variables(await_number), rng) as made:
        if made.await_begin():
            _harm(made, fault, delay_s)
        made.see_client_out()
        if not made.run_id:
            may_be = fault.at_await is not None
            return f"{what}: not begun", [] if may_be else [
                f"the client did not start: {made.said[-1][-300:]}"
            ]
        try:
            complaints = verdict(made, fault)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was to be found out
            complaints = [f"no verdict: {type(error).__name__}: {error}"]
        return f"{what}: {made.outcome}", complaints


def _harm(made: Scene, fault: Fault, delay_s: float) -> None:
    """Do the harm when it is due; before it, if there is time, and after it look for what must not show."""
    due = time.monotonic() + delay_s
    if delay_s > LOOK_S:
        time.sleep(delay_s - LOOK_S)
        made.complaints += leaks.at_work(made)
    time.sleep(max(0.0, due - time.monotonic()))
    fault.harm(made)
    made.complaints += leaks.at_work(made)


if __name__ == "__main__":
    sys.exit(main())
