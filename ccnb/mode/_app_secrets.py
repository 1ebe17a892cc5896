"""The secrets of an app of Fly.io, as far as they are ours: each is there while a machine needs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from ccnb.errors import CcnbError, OutOfReachError, StartError
from ccnb.fly import Client, Machine
from ccnb.fly.answers import FlyError
from ccnb.mode.base import Place
from ccnb.redact import Secret

_TRIES = 3


class AppSecrets:
    """One for each value, named by its hash, shared by the runs of this process."""

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {}
        """The secrets' names, by the runs of this process that need them."""

    async def with_them(
        self,
        client: Client,
        run_id: str,
        values: Collection[Secret],
        create: Callable[[], Awaitable[Machine]],
    ) -> Machine:
        """Make a machine that finds its secrets.

        In another process the last run with the same token may end at this moment, and take its secret
        away: the machine is then made anew.

        Where the platform makes none, the secrets go again; where that isn't known, they stay until the run
        is looked for.

        Raises
        ------
        StartError
        """
        names = {secret_name(value) for value in values}
        sure = names <= self._all_held()
        self._held[run_id] = names
        for _ in range(_TRIES):
            if not sure:
                for value in values:
                    await client.set_secret(secret_name(value), value)
            try:
                machine = await create()
            except OutOfReachError:
                raise
            except CcnbError as error:
                if not isinstance(error, FlyError) or "secret" not in error.message:
                    with suppress(CcnbError):
                        await self._let_go(client, run_id, names)
                    raise
            else:
                if sure or names <= set(await client.secrets()):
                    return machine
                await client.destroy(machine.id)
            sure = False
        raise StartError(
            "the app's secrets don't stay set; run again when no other run ends, or use auth='env'"
        )

    async def drop(self, client: Client, place: Place) -> None:
        """Remove the secrets that a place had and that no machine of ours needs any more."""
        await self._let_go(client, place.run_id, set(place.details["secrets"]), place.id)

    async def _let_go(self, client: Client, run_id: str, names: set[str], machine_id: str = "") -> None:
        self._held.pop(run_id, None)
        names = names - self._all_held()
        if not names:
            return
        others = [m for m in await client.machines() if m.id != machine_id and not m.is_gone]
        used = {name for machine in others for name in details(machine).get("secrets", ())}
        for name in names - used:
            await client.remove_secret(name)

    def _all_held(self) -> set[str]:
        return {name for names in self._held.values() for name in names}


def secret_name(value: Secret) -> str:
    """Return the name under which the app keeps a secret: one for each value."""
    return "CCNB_" + hashlib.sha256(value.reveal().encode()).hexdigest()[:16].upper()


def details(machine: Machine) -> dict[str, Any]:
    """Return the place's details, as `config` wrote them into the machine's metadata."""
    with suppress(ValueError):
        found: dict[str, Any] = json.loads(machine.metadata.get("ccnb_place", "{}"))
        return found
    return {}
