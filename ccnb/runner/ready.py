"""Which modes are ready on this machine, and which of them is the strongest."""

from __future__ import annotations

import asyncio

from ccnb import _loop
from ccnb import mode as modes
from ccnb.errors import ModeUnavailableError
from ccnb.mode.base import Readiness
from ccnb.runner.lists import ModeList


def readiness() -> ModeList:
    """Return every mode's readiness, the strongest isolation first."""

    async def probe_all() -> list[Readiness]:
        return list(await asyncio.gather(*map(modes.probe, modes.names())))

    found = _loop.run(probe_all())
    return ModeList(sorted(found, key=lambda r: (-r.rank, r.mode)))


def strongest() -> str:
    """Return the name of the mode with the strongest isolation that is ready on this machine.

    Raises
    ------
    ModeUnavailableError
    """
    found = readiness()
    for mode in found:
        if mode.ready and not mode.remote:
            return mode.mode
    why = "; ".join(f"{m.mode}: {m.why or 'on another machine'}" for m in found)
    raise ModeUnavailableError(f"no mode is ready ({why}); run `ccnb doctor`")
