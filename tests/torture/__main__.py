"""`python -m tests.torture`: do harm to many runs at random moments, and see that nothing is lost.

Every trial has its own random numbers, made of the seed and the trial's number: `--seed S --trial N` does one
again. A series that was stopped goes on with `--state FILE`.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import hide_credentials
from tests.torture.faults import Fault, all_faults
from tests.torture.scene import PATIENCE_S, Scene, scene, verdict
from tests.torture.tasks import Task, tasks

LONGEST_DELAY_S = 3.0


def main() -> int:
    """Do the trials and print how many were survived; 1 when one was lost."""
    wanted = _arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="ccnb-torture-"))
    hide_credentials(pytest.MonkeyPatch(), folder)
    ready = tasks(folder, wanted.mode)
    modes = {task.mode for task in ready}
    faults = [f for f in all_faults() if wanted.fault in (None, f.name) and f.modes & modes]
    if not faults:
        print(f"nothing to do: faults {[f.name for f in all_faults()]}, modes {sorted(modes)}")
        return 2
    state = _state(wanted)
    print(f"seed {state['seed']}, modes {', '.join(sorted(modes))}", flush=True)
    numbers = [wanted.trial] if wanted.trial is not None else range(state["tried"], wanted.faults)
    for number in numbers:
        said = _trial(f"{state['seed']}:{number}", faults, ready)
        state["tried"] += 1
        if said[1]:
            state["lost"].append(number)
        print(f"{number:5} {said[0]:66} {'; '.join(said[1]) or 'survived'}", flush=True)
        if wanted.state:
            wanted.state.write_text(json.dumps(state))
    lost = state["lost"]
    print(f"{state['tried']} faults tried, {state['tried'] - len(lost)} survived, {len(lost)} lost")
    for number in lost:
        print(f"again: python -m tests.torture --seed {state['seed']} --trial {number}")
    return int(bool(lost))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--faults", type=int, default=150, help="how many in all")
    parser.add_argument("--seed", type=int, help="the series to do; one is drawn and printed otherwise")
    parser.add_argument("--trial", type=int, help="do this one of the series only")
    parser.add_argument("--mode", action="append", help="only in this mode; may be given again")
    parser.add_argument("--fault", help="only this fault, by its name")
    parser.add_argument("--state", type=Path, help="a file by which a stopped series goes on")
    return parser.parse_args()


def _state(wanted: argparse.Namespace) -> dict[str, object]:
    if wanted.state and wanted.state.exists():
        return json.loads(wanted.state.read_text())
    seed = wanted.seed if wanted.seed is not None else random.SystemRandom().randrange(1_000_000)
    return {"seed": seed, "tried": 0, "lost": []}


def _trial(seed: str, faults: list[Fault], ready: list[Task]) -> tuple[str, list[str]]:
    """Do one: return what was done, and what did not hold after it."""
    rng = random.Random(seed)  # noqa: S311 - to be done again, not to be secret
    fault = rng.choice(faults)
    task = rng.choice([t for t in ready if t.mode in fault.modes and fault.agent in (None, t.agent)])
    delay_s = rng.uniform(0, LONGEST_DELAY_S)
    what = f"{fault.name}, {task.agent} agent in {task.mode}, after {delay_s:.2f} s"
    with scene(task, dict(fault.environment), rng) as made:
        assert made.client.stdout is not None
        made.run_id = made.client.stdout.readline().strip()
        if " " in made.run_id or not made.run_id:
            return what, [f"the client did not start: {made.run_id} {made.client.stdout.read()[-300:]}"]
        time.sleep(delay_s)
        fault.harm(made)
        _see_the_client_out(made)
        complaints = verdict(made, fault.outcomes, loses=fault.loses)
        return f"{what}: {made.outcome}", complaints


def _see_the_client_out(made: Scene) -> None:
    """Wait for the client's own end, and keep what it printed."""
    try:
        said, _ = made.client.communicate(timeout=PATIENCE_S)
        made.said.append(said or "")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was to be found out
        made.complaints.append(f"the client does not end: {type(error).__name__}")
        made.client.kill()


if __name__ == "__main__":
    sys.exit(main())
