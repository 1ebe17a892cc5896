"""The modes, by name. A third party adds one by an entry point of the group `ccnb.modes`."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from ccnb.errors import ModeUnavailableError, SpecError, did_you_mean
from ccnb.mode._files import follow, lend, owners, reclaim
from ccnb.mode.base import Mode, Readiness

# What a mode of a third party needs too, where its places see the folders of this machine, is from `_files`.
__all__ = [
    "Mode",
    "Readiness",
    "auths",
    "follow",
    "get",
    "lend",
    "names",
    "owners",
    "probe",
    "pushes",
    "reclaim",
]

_OWN = {
    "docker": "ccnb.mode.docker:DockerMode",
    "podman": "ccnb.mode.podman:PodmanMode",
    "local": "ccnb.mode.local:LocalMode",
    "sandbox": "ccnb.mode.sandbox:SandboxMode",
    "fly": "ccnb.mode.fly:FlyMode",
}


def names() -> list[str]:
    """Return the names of all modes, ours first."""
    others = sorted(point.name for point in entry_points(group="ccnb.modes"))
    return [*_OWN, *(name for name in others if name not in _OWN)]


async def probe(name: str) -> Readiness:
    """Return a mode's readiness; one that can't be loaded isn't ready."""
    try:
        return await get(name).probe()
    except ModeUnavailableError as error:
        what, _, action = error.message.rpartition("; ")
        return Readiness(name, ready=False, why=what, next_action=action)


def auths(name: str) -> tuple[str, ...]:
    """Return the ways in which the credential can reach the agent in a mode."""
    # A third party's mode may be older than the attribute.
    return getattr(get(name), "auths", ("env", "gateway"))


def pushes(name: str) -> bool:
    """Return whether the places of a mode can push results by themselves (`RunSpec.push_to`)."""
    return getattr(get(name), "pushes", False)


@cache
def get(name: str) -> Mode:
    """Return a mode.

    Raises
    ------
    SpecError
        There is none of that name; the message has the nearest.
    ModeUnavailableError
        A third party's mode can't be imported.
    """
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        made: Mode = getattr(import_module(module), attribute)()
        return made
    for point in entry_points(group="ccnb.modes"):
        if point.name == name:
            try:
                loaded: Mode = point.load()()
            except Exception as error:
                raise ModeUnavailableError(
                    f"mode {name!r} of {point.value} can't be loaded ({error}); reinstall its package"
                ) from error
            return loaded
    near = did_you_mean(name, [*names(), "auto"]) or f"; known are auto, {', '.join(names())}"
    raise SpecError(f"unknown mode {name!r}{near}")


# Modes hold what belongs to their process's loop, which a forked one does not get from its parent.
os.register_at_fork(after_in_child=get.cache_clear)
