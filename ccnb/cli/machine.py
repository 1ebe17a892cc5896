"""What this machine can do, and the image for it: what `modes`, `doctor` and `image build` do."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.text import Text

import ccnb
from ccnb import claude, credentials, render
from ccnb.cli.output import console, print_json, say
from ccnb.errors import CredentialError, EngineError, SpecError, did_you_mean
from ccnb.runner.ready import readiness
from ccnb.store import Store, folder_size

if TYPE_CHECKING:
    from ccnb.engine import Engine, ImageOptions

_ENGINES = ("docker", "podman")


def modes(*, as_json: bool) -> int:
    """Print the modes: which are ready, and how they differ."""
    found = [asdict(mode) for mode in readiness()]
    if as_json:
        print_json(found)
        return 0
    out = console()
    out.print(render.readiness_table(found))
    out.print()
    out.print(render.facts_table(found))
    return 0


def doctor(*, as_json: bool) -> int:
    """Print what was found on this machine; the exit code is 0 when any mode is ready."""
    found = [asdict(mode) for mode in readiness()]
    facts = _facts()
    if as_json:
        print_json(facts | {"modes": found})
    else:
        out = console()
        out.print(render.readiness_table(found))
        out.print()
        out.print(render.doctor_table(_things(facts)))
    return 0 if any(mode["ready"] for mode in found) else 1


def build_image(
    engine: str | None, claude_version: str, base: str | None, extra_ca: Path | None, platform: str | None
) -> int:
    """Build the project's image, showing each step; print its name."""
    from ccnb import engine as engines

    usual = engines.ImageOptions.usual()
    options = engines.ImageOptions(
        claude_version=claude_version,
        base=base or usual.base,
        extra_ca=extra_ca or usual.extra_ca,
        platform=platform,
    )
    options.certificates()
    name = build_with(engine_of(engine), options)
    say(name)
    if name != engines.default_reference():
        say(f"runs take this image when it is named: --image {name}", stderr=True)
    return 0


def build_with(engine: Engine, options: ImageOptions) -> str:
    """Build the project's image on an engine, showing each step; return its name."""
    from ccnb import engine as engines

    err = console(stderr=True)
    if not err.is_terminal:
        return engines.build(engine, lambda line: say(line, stderr=True), options)
    with Live(console=err, transient=True) as live:
        return engines.build(engine, lambda line: _pass_by(live, line), options)


def _pass_by(live: Live, line: str) -> None:
    text = Text(render.one_line(line), "dim")
    text.truncate(live.console.width, overflow="ellipsis")
    live.update(text)


def engine_of(kind: str | None) -> Engine:
    """Return the engine of a kind, else the first that answers."""
    from ccnb.engine import connect

    if kind is not None and kind not in _ENGINES:
        near = did_you_mean(kind, _ENGINES)
        raise SpecError(f"--engine must be docker or podman, not {kind!r}{near}")
    for name in (kind,) if kind else _ENGINES:
        try:
            return connect(name)
        except EngineError:
            if kind:
                raise
    raise EngineError("neither docker nor podman answers; `ccnb doctor` says what to do")


def _facts() -> dict[str, Any]:
    store = Store()
    program = claude.find_program()
    try:
        token: credentials.TokenRecord | None = credentials.find().record
    except CredentialError:
        token = None
    return {
        "ccnb": ccnb.__version__,
        "python": platform.python_version(),
        "python_program": sys.executable,
        "platform": platform.platform(),
        "git": _version("git"),
        "claude": _version(str(program)) if program else None,
        "claude_program": str(program) if program else None,
        "credential": token.variable if token else None,
        "credential_in": f"{token.kind} in {token.where}" if token else None,
        "store": str(store.home),
        "store_bytes": folder_size(store.home),
        "runs": len(store.runs()),
    }


def _things(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the facts as rows; what is missing comes with what to do."""
    token = "run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN; --api script:demo needs none"  # noqa: S105 - it holds none
    kept = f"{facts['store']}: {facts['runs']} runs, {render.size(facts['store_bytes'])}"
    program = f"{facts['claude']} ({facts['claude_program']})"
    return [
        ("ccnb", facts["ccnb"], ""),
        ("python", f"{facts['python']} ({facts['python_program']})", ""),
        ("platform", facts["platform"], ""),
        ("git", facts["git"] or "not found", "" if facts["git"] else "install git: patches are made with it"),
        ("claude", program if facts["claude"] else "not found", "" if facts["claude"] else _NO_CLAUDE),
        ("token", facts["credential_in"] or "none", _unless(facts, token)),
        ("store", kept, ""),
    ]


_NO_CLAUDE = "only mode local needs it: pip install 'ccnb-toolkit[local]'"


def _unless(facts: dict[str, Any], action: str) -> str:
    return "" if facts["credential"] else action


def _version(program: str) -> str | None:
    """Return what a program says of its version, or `None`."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (
        done.stdout.strip().partition("\n")[0].removeprefix("git version ").removesuffix(" (Claude Code)")
        or None
    )
