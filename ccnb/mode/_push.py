"""Results that a machine pushes by itself, to a branch that the person names: nobody need come for them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import httpx

from ccnb.errors import CcnbError, CredentialError, SpecError
from ccnb.mode._machine import Run
from ccnb.mode.base import Plan
from ccnb.spec import PUSH_TOKEN, RunSpec, git_url

FOLDER = "run/ccnb/push"
"""In the machine; root alone can look into it."""

_USER = "x-access-token"
"""Hosts of git look at the token alone; GitHub's documentation has this name beside it."""
_ASKPASS = f"""#!/bin/sh
case $1 in
Username*) echo {_USER} ;;
*) cat /{FOLDER}/token ;;
esac
"""
_LIMIT_S = 60.0
"""How long one who collects the results waits for the push; the machine goes on trying for a while."""
_PAUSE_S = 1.0
_ASK_LIMIT_S = 20.0


def check(spec: RunSpec, *, plain: bool) -> None:
    """Refuse an address to which the token would go in the clear; `plain` allows it.

    Raises
    ------
    SpecError
    """
    if spec.push_to and not plain and not spec.push_to.startswith("https://"):
        raise SpecError(f"push_to {spec.push_to} would send its token in the clear; use https://")


def content(plan: Plan) -> Mapping[str, bytes]:
    """Return the files that a machine needs for it, by their paths; none where nothing is to be pushed.

    The token is among them: so it is in no configuration, no environment and no command.
    """
    if plan.spec.push_to is None:
        return {}
    url, branch = git_url(plan.spec.push_to) or ("", "")
    script = files("ccnb").joinpath("data", "machine", "push.sh").read_bytes()
    texts = {
        "url": url,
        "branch": branch,
        "run": plan.run_id,
        "base": _base(plan.workspace),
        "token": plan.env[PUSH_TOKEN],
        "askpass": _ASKPASS,
    }
    found = {f"{FOLDER}/{name}": text.encode() for name, text in texts.items()}
    return found | {f"{FOLDER}/push.sh": script}


def _base(workspace: Path) -> str:
    """Return the commit that a workspace has checked out, if it is a repository's top folder."""
    if not (workspace / ".git").exists():
        return ""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(workspace), "rev-parse", "--verify", "--quiet", "HEAD"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


async def ask(plan: Plan) -> None:
    """Ask the host of git whether the token may push there: after hours of work it would be too late.

    What is asked is the first request of every push (git's smart HTTP protocol).

    Raises
    ------
    CredentialError, SpecError, CcnbError
    """
    if plan.spec.push_to is None:
        return
    url, _ = git_url(plan.spec.push_to) or ("", "")
    where = f"{url}/info/refs?service=git-receive-pack"
    try:
        async with (
            httpx.AsyncClient(timeout=_ASK_LIMIT_S) as client,
            client.stream("GET", where, auth=(_USER, plan.env[PUSH_TOKEN])) as answer,
        ):
            status = answer.status_code
    except httpx.HTTPError as error:
        raise CcnbError(
            f"{url} can't be reached ({type(error).__name__}), so nothing could be pushed there; "
            "see that its address in push_to is right"
        ) from None
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CredentialError(
            f"{PUSH_TOKEN} may not push to {url} ({status}); make a token that may write to it"
        )
    if status != httpx.codes.OK:
        raise SpecError(
            f"{url} is no repository that {PUSH_TOKEN} can see ({status}); mend push_to or the token"
        )


async def outcome(run: Run, push_to: str) -> dict[str, str]:
    """Wait until the machine has pushed; return what to note of it with the run."""
    url, _ = git_url(push_to) or ("", "")
    until = time.monotonic() + _LIMIT_S
    while True:
        said = (
            await run(["sh", "-c", 'cat "$0" 2>/dev/null || echo waiting', f"/{FOLDER}/state"], "")
        ).strip()
        word, _, rest = said.partition(" ")
        if word == "pushed":
            branch, _, commit = rest.partition(" ")
            return {"pushed_to": f"{url}#{branch}", "pushed_commit": commit}
        if word == "failed" or time.monotonic() > until:
            return {"push_failed": rest or "it was not done in time"}
        await asyncio.sleep(_PAUSE_S)
