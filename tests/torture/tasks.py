"""What the runs do while they are harmed: an obedient double of the agent, or the real one by a script."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ccnb.engine import connect
from tests.conftest import AGENT_IMAGE, DOUBLES, build_agent_image, missing
from tests.doubles.fly.client import Double, project_image
from tests.modelapi import ModelApi
from tests.sandboxes import Sandboxes, template
from tests.torture.line import Line

NUMBERS = 40
COUNTING = f"i=0; while [ $i -lt {NUMBERS} ]; do say $i; i=$((i+1)); sleep 0.04; done"
OBEYED = f'init; say "mine is $HIDDEN"; {COUNTING}; echo x >made.txt; result'
TURNS = 6
CHECK = "test -e made.txt"
MODES = ("docker", "podman", "local", "sandbox", "fly")
_NEEDS = {"local": "bubblewrap", "podman": "podman"}
_APP = "ccnb-torture"


@dataclass(frozen=True)
class Task:
    """A run's mode and options, and what its agent says."""

    mode: str
    agent: str
    """`double`, or `real` where the model is asked."""
    options: dict[str, Any]
    sayings: int
    variables: dict[str, str] = field(default_factory=dict)
    """The run's own."""
    environment: dict[str, str] = field(default_factory=dict)
    """The client's, and of whoever attaches."""
    key: str = ""
    """The credential, of which no place may know unless `options` say so."""
    line: Line | None = None
    """What leads to the place, or to the model, and can be cut."""
    lasts_s: float = 3.0
    """Moments for harm are this long."""
    tells: Callable[[], str] = str
    """Gives what a platform tells of its machines."""
    left: Callable[[], list[str]] = list
    """Names what is left of runs beyond their places."""

    def __str__(self) -> str:
        how = f" with a key by {self.options['auth']}" if self.key else ""
        return f"{self.agent} agent in {self.mode}{how}"


def tasks(folder: Path, wanted: list[str] | None, more: ExitStack) -> list[Task]:
    """Return tasks for both agents in each mode that is ready here.

    Parameters
    ----------
    folder
        Where the real agent's script is written to.
    wanted
        The modes to take; all when it is empty.
    more
        Ends the servers and doubles that the tasks need.
    """
    script = folder / "turns.yaml"
    script.write_text(_script())
    key = f"sk-ant-api03-torture-{secrets.token_hex(16)}"
    api = more.enter_context(ModelApi(_script(), credential=key))
    line = more.enter_context(Line(api.port))
    keyed = {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": line.url}
    found = []
    for mode in MODES:
        if mode not in (wanted or MODES) or missing(_NEEDS.get(mode, "docker")):
            continue
        double, real = _here(mode) if mode in ("docker", "podman", "local") else _elsewhere(mode, more)
        double.options["check"] = real.options["check"] = CHECK
        asked = replace(real, options={**real.options, "api": f"script:{script}"})
        found += [double, asked, *_with_key(double, real, keyed, line)]
    return found


def _with_key(double: Task, real: Task, keyed: dict[str, str], line: Line) -> Iterator[Task]:
    """Yield the tasks that need a credential, one for each way in which it is passed on."""
    key = keyed["ANTHROPIC_API_KEY"]
    if double.mode == "fly":
        auth = {"api": "live", "auth": "secret"}
        yield replace(double, options={**double.options, **auth}, environment=keyed, key=key)
        return
    auth = {"api": "live", "auth": "gateway"}
    yield replace(real, options={**real.options, **auth}, environment=keyed, key=key, line=line)
    if double.mode != "sandbox":
        auth = {"api": "live", "auth": "env"}
        environment = {**double.environment, **keyed}
        yield replace(double, options={**double.options, **auth}, environment=environment, key=key)


def _here(mode: str) -> tuple[Task, Task]:
    """Return the tasks of a mode of this machine."""
    options: dict[str, Any] = {"mode": mode, "api": "script:demo"}
    environment = {}
    if mode == "local":
        environment["PATH"] = f"{DOUBLES / 'agent'}:{os.environ['PATH']}"
    else:
        build_agent_image(connect(mode))
        options["image"] = AGENT_IMAGE
    double = Task(mode, "double", options, NUMBERS, {"AGENT": OBEYED}, environment)
    return double, Task(mode, "real", {"mode": mode}, TURNS + 1)


def _elsewhere(mode: str, more: ExitStack) -> tuple[Task, Task]:
    """Return the tasks of a mode whose places a double makes, behind a line where it is far away."""
    image = build_agent_image(connect("docker"))
    settings = more.enter_context(pytest.MonkeyPatch.context())
    if mode == "sandbox":
        sandboxes = Sandboxes(settings)
        more.callback(sandboxes.clear)
        sandboxes.use("sbx")
        common = {"lasts_s": 5.0, "left": lambda: sandboxes.names}
        image = template(image)
    else:
        double = more.enter_context(Double())
        double.make_app(_APP)
        line = more.enter_context(Line(int(double.url.rpartition(":")[2])))
        variables = double.environment(_APP, project_image())
        variables |= {"FLY_FLAPS_BASE_URL": line.url, "FLY_CONFIG_DIR": "/nonexistent"}
        for name, value in variables.items():
            settings.setenv(name, value)
        common = {
            "lasts_s": 10.0,
            "line": line,
            "tells": lambda: double.call("GET", f"/v1/apps/{_APP}/machines").text,
            "left": lambda: _left_far_away(double),
        }
    options = {"mode": mode, "api": "script:demo", "image": image}
    obeying = Task(mode, "double", options, NUMBERS, {"AGENT": OBEYED}, **common)
    return obeying, Task(mode, "real", {"mode": mode}, TURNS + 1, **common)


def _left_far_away(double: Double) -> list[str]:
    report = double.report()
    return [*report["machines"], *report["secrets"][_APP]]


def _script() -> str:
    tool = '[Bash: {command: "sleep 0.2; echo x >made.txt", description: make a file}]'
    turns = [f'- say: "{number}"\n  tools: {tool}\n' for number in range(TURNS)]
    return "".join(turns) + f'- say: "{TURNS}"\n'
