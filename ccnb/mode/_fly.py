"""What mode `fly` asks of a machine for a run, and what a machine's end means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ccnb import network
from ccnb.errors import SpecError
from ccnb.fly import Machine, Settings, prices
from ccnb.mode import _push
from ccnb.mode._app_secrets import secret_name
from ccnb.mode.base import PlaceState, Plan
from ccnb.redact import Secret
from ccnb.spec import PUSH_TOKEN, RunSpec

UID = 1000
"""The agent's user: `node` in the project's image."""
USUAL = prices.Guest("shared", 2, 2048)
_CREDENTIALS = frozenset({"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"})
_FILES_LIMIT_S = 1800
"""How long a machine waits for its files before it ends itself."""


def check(spec: RunSpec, settings: Settings) -> None:
    """Refuse what makes no sense so far away.

    Raises
    ------
    SpecError
    """
    if spec.auth == "gateway":
        raise SpecError(
            "auth 'gateway' can't reach a machine of Fly.io from here; use auth='secret' or 'env'"
        )
    if spec.auth not in (None, "secret", "env"):
        raise SpecError(f"auth {spec.auth!r} isn't to be had in mode fly; use 'secret' or 'env'")
    if spec.api_source != "live" and not settings.is_near:
        raise SpecError(
            f"api {spec.api!r} answers from this machine, which one of Fly.io can't reach; use api='live', "
            "or a mode on this machine such as docker"
        )
    if spec.network != "open":
        raise SpecError(
            f"network {network.shown(spec.network)} would cut a machine of Fly.io off from its model; "
            "use network='open'"
        )
    _push.check(spec, plain=settings.is_near)
    guest(spec)


def guest(spec: RunSpec) -> prices.Guest:
    """Return the size of a run's machine.

    Raises
    ------
    SpecError
        There is none so large.
    """
    found = prices.smallest_guest(spec.cpus or USUAL.cpus, spec.memory_mb or USUAL.memory_mb)
    if found is None:
        raise SpecError(
            f"Fly.io has no machine with {spec.cpus} cpus and {spec.memory_mb} MB; "
            "use cpus up to 16 and memory_mb up to 131072"
        )
    return found


def divided(plan: Plan) -> tuple[dict[str, Secret], dict[str, str]]:
    """Return the secrets of a run's environment, and the rest of it; the token for a push is of neither."""
    names = {name for name, value in plan.spec.env.items() if isinstance(value, Secret)} | _CREDENTIALS
    # A credential that is not to be used there is set to nothing.
    env = {name: value for name, value in plan.env.items() if not (plan.spec.push_to and name == PUSH_TOKEN)}
    secret = {name: Secret(value) for name, value in env.items() if name in names and value}
    return secret, {name: value for name, value in env.items() if name not in secret}


def config(
    plan: Plan, env: Mapping[str, str], secret: Mapping[str, Secret], place: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a machine's configuration; whoever may read the app can read it."""
    size = guest(plan.spec)
    boot = files("ccnb").joinpath("data", "machine", "boot.sh").read_text()
    lifetime_s = plan.command[5]
    process = {
        "exec": ["sh", "-c", boot, "ccnb", str(UID), str(_FILES_LIMIT_S), lifetime_s],
        "user": "root",
        "ignore_app_secrets": True,
        "secrets": [{"env_var": name, "name": secret_name(value)} for name, value in secret.items()],
    }
    return {
        "image": plan.image.reference,
        "env": dict(env),
        "processes": [process],
        "guest": {"cpu_kind": size.cpu_kind, "cpus": size.cpus, "memory_mb": size.memory_mb},
        "auto_destroy": True,
        "restart": {"policy": "no"},
        "metadata": {
            "ccnb_run": plan.run_id,
            "ccnb_store": plan.store_id,
            # Whoever finds the machine when its maker died between two steps reads the rest here.
            "ccnb_place": json.dumps(place),
        },
    }


def ended(machine: Machine) -> PlaceState:
    """Return how a machine ended, by its last event; what that says beside its process is noted."""
    ending = machine.ending
    if ending is None:
        said = next((str((e.get("request") or {}).get("error") or "") for e in machine.events), "")
        return PlaceState("ended", detail=f"the machine is {machine.state} {said}".strip())
    detail = f"the machine ended with {ending.code}"
    if ending.exit_code != ending.guest_exit_code:
        detail += f" (by its event {ending.exit_code}, of its process {ending.guest_exit_code})"
    detail += ", out of memory" if ending.oom_killed else ""
    return PlaceState("ended", code=ending.code, out_of_memory=ending.oom_killed, detail=detail)
