"""The demo: the same small task in every mode that is ready, then the modes against each other."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ccnb.cli.output import console, print_json, say
from ccnb.cli.running import Request
from ccnb.cli.running import run as run_each
from ccnb.comparison.api import compare
from ccnb.comparison.result import Comparison
from ccnb.errors import ModeUnavailableError
from ccnb.render import harmless
from ccnb.runner import api
from ccnb.runner.ready import readiness
from ccnb.runner.values import mode_names

MODES = ("docker", "podman", "local")
PROMPT = (
    "Write wordcount.sh, a POSIX shell script that prints how many words the file named by its first "
    "argument holds. Try it on a sample.txt of six words that you make, and mend what is wrong with it."
)
CHECK = "sh wordcount.sh sample.txt | grep -qx 6"


def demo(mode: str, image: str | None, repeats: int, *, as_json: bool) -> int:
    """Do the demo task in every mode that is ready, then compare them and write a report."""
    modes = _modes(mode)
    options = {"api": "script:demo", "check": CHECK} | ({"image": image} if image else {})
    if not as_json:
        say(f"The same small task in {', '.join(modes)}: the real claude, answered by a scripted model.")
    code = run_each(Request(prompt=PROMPT, modes=modes, options=options, as_json=as_json))
    if code or not repeats:
        return code
    found = _compare(modes, options, repeats, quiet=as_json)
    page = _report(found)
    if as_json:
        print_json({"comparison": found.name, "report": str(page)})
        return 0
    console().print(harmless(repr(found)))
    say(f"report: {page}")
    _open(page)
    return 0


def _modes(mode: str) -> list[str]:
    """Return the modes for the demo; say of the others why they aren't ready."""
    if mode != "all":
        return mode_names(mode)
    found = {m.mode: m for m in readiness()}
    for name in MODES:
        if not found[name].ready:
            say(f"{name} is left out: {found[name].why}; {found[name].next_action}", stderr=True)
    ready = [name for name in MODES if found[name].ready]
    if not ready:
        raise ModeUnavailableError("no mode is ready; `ccnb doctor` says what to do")
    return ready


def _compare(modes: Sequence[str], options: dict[str, Any], repeats: int, *, quiet: bool) -> Comparison:
    """Compare the modes; on a terminal, with a line that says how far it is."""
    if not quiet:
        console().print()
        say(f"And {repeats} times more in each, in shuffled order, one at a time: is one of them faster?")
    # They have just run once each: no warm-up run is needed.
    more = {"modes": modes, "repeats": repeats, "warmups": 0, "name": f"demo-{api.new_id()}", **options}
    with console(stderr=True).status("") as status:
        return compare(PROMPT, on_progress=lambda line: status.update(harmless(line)), **more)


def _report(found: Comparison) -> Path:
    # It takes a moment to import what makes pages, and only now is it needed.
    from ccnb.reports import from_store

    return from_store(found.name, found.lock_file.with_name("report.html"))


def _open(page: Path) -> None:
    """Open a page where a person looks on: at a terminal, of a machine with a screen."""
    screen = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if sys.stdout.isatty() and screen and not os.environ.get("SSH_CONNECTION"):
        webbrowser.open(page.as_uri())
