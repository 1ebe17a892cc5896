"""What can be asked of Fly.io: apps, machines, secrets, logs.

Endpoints and fields are those of the platform's Machines API (its documentation and superfly/fly-go).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, Self

from ccnb.errors import OutOfReachError, StartError
from ccnb.fly.answers import FlyError
from ccnb.fly.calls import PATIENCE_S, Caller, UnclearError
from ccnb.fly.settings import Settings
from ccnb.redact import Secret

WAIT_S = 60
"""The longest wait that the platform takes."""
EXEC_S = 45
"""Of a command in a machine: the platform's edge gives up after 60 s."""
_GONE = 404
_NOT_YET = 408
_TAKEN = 409
_CREATE_TRIES = 8


@dataclass(frozen=True)
class Ending:
    """How a machine's main process ended, by the platform's event; what it leaves out is zero."""

    exit_code: int = 0
    guest_exit_code: int = 0
    guest_signal: int = 0
    oom_killed: bool = False
    requested_stop: bool = False

    @property
    def code(self) -> int:
        """Return the code of the process; the machine's own may stem from its being torn down.

        A process that was killed has none: then the machine's counts.
        """
        was_killed = self.oom_killed or self.guest_signal > 0
        return self.exit_code if was_killed and not self.guest_exit_code else self.guest_exit_code


@dataclass(frozen=True)
class Machine:
    """A machine as the platform describes it."""

    id: str
    name: str
    state: str
    region: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    """Newest first."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Make it from an answer."""
        return cls(
            id=str(data["id"]),
            name=str(data.get("name") or ""),
            state=str(data.get("state") or ""),
            region=str(data.get("region") or ""),
            metadata=(data.get("config") or {}).get("metadata") or {},
            events=data.get("events") or (),
        )

    @property
    def is_gone(self) -> bool:
        """Return whether it is removed, or about to be."""
        return self.state in ("destroying", "destroyed")

    @property
    def ending(self) -> Ending | None:
        """Return how it ended last, or `None` while no event says so."""
        for event in self.events:
            if event.get("type") == "exit":
                request = event.get("request") or {}
                found = (
                    (request.get("MonitorEvent") or {}).get("exit_event") or request.get("exit_event") or {}
                )
                return Ending(**{f.name: found[f.name] for f in fields(Ending) if f.name in found})
        return None


@dataclass(frozen=True)
class Output:
    """What a command in a machine gave; what the platform leaves out is zero or empty."""

    code: int
    stdout: str
    stderr: str


class Client:
    """Talks to one app of Fly.io."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._caller = Caller(settings)

    async def make_app(self) -> None:
        """Make the app in its organisation."""
        body = {"app_name": self.settings.app, "org_slug": self.settings.org}
        await self._call("POST", "", action="post app", body=body)

    async def app(self) -> dict[str, Any] | None:
        """Return what the platform knows of the app, or `None` when there is none of that name."""
        try:
            found: dict[str, Any] = await self._call("GET", f"/{self.settings.app}", action="get app")
        except FlyError as error:
            if error.status == _GONE:
                return None
            raise
        return found

    async def regions(self) -> list[str]:
        """Return the codes of the platform's regions."""
        url = f"{self.settings.machines_url}/v1/platform/regions"
        found = await self._caller.call("GET", url, action=("get regions", ""))
        return sorted(str(region["code"]) for region in found["Regions"])

    # Machines

    async def create(self, name: str, config: Mapping[str, Any]) -> Machine:
        """Make a machine, once: one that a lost answer has left is found by its name and taken.

        Raises
        ------
        FlyError, ImageError, CredentialError
        OutOfReachError
            Whether there is one now isn't known; its metadata find it later.
        """
        body = {"name": name, "region": self.settings.region, "config": dict(config)}
        for _ in range(_CREATE_TRIES):
            try:
                made = await self._call(
                    "POST", self._machines(), action="post machines", once=True, timeout_s=WAIT_S, body=body
                )
                return Machine.of(made)
            except UnclearError:
                # The list follows what happens at a distance; where it is too far behind, the name is taken.
                found = await self._named(name, config["metadata"])
            except FlyError as error:
                if error.status != _TAKEN:
                    raise
                found = await self._named(name, config["metadata"])
            if found is not None:
                return found
        raise OutOfReachError(
            "Fly.io gave no clear answer to the wish for a machine; attach to the run later"
        )

    async def _named(self, name: str, metadata: Mapping[str, str]) -> Machine | None:
        for machine in await self.machines(ccnb_run=metadata["ccnb_run"]):
            if machine.name == name and not machine.is_gone:
                return machine
        return None

    async def machines(self, *, deleted: bool = False, **metadata: str) -> list[Machine]:
        """Return the app's machines that carry all of the metadata."""
        query = {f"metadata.{name}": value for name, value in metadata.items()}
        if deleted:
            query["include_deleted"] = "true"
        found = await self._call("GET", self._machines(), action="list machines", query=query)
        return [Machine.of(data) for data in found]

    async def machine(self, machine_id: str, *, patience_s: float = PATIENCE_S) -> Machine | None:
        """Return a machine, or `None` when it is gone."""
        try:
            found = await self._call(
                "GET", self._machines(machine_id), action="get machine", of=machine_id, patience_s=patience_s
            )
        except FlyError as error:
            if error.status == _GONE:
                return None
            raise
        return Machine.of(found)

    async def started(self, machine_id: str, limit_s: float) -> None:
        """Wait until a machine runs.

        Raises
        ------
        StartError
            It ended, or didn't come up in time; the message has the platform's word.
        """
        until = time.monotonic() + limit_s
        while (left_s := until - time.monotonic()) > 0:
            wait_s = max(1, min(WAIT_S, int(left_s)))
            try:
                await self._call(
                    "GET",
                    self._machines(machine_id, "wait"),
                    action="wait",
                    of=machine_id,
                    timeout_s=wait_s,
                    query={"state": "started", "timeout": wait_s},
                )
                return
            except FlyError as error:
                if error.status != _NOT_YET:
                    said = error.message.removeprefix("Fly.io refused: ")
                    raise StartError(f"machine {machine_id} did not come up: {said}") from None
        raise StartError(
            f"machine {machine_id} was not up after {limit_s:.0f} s; try again, or set FLY_REGION to another"
        )

    async def exec(
        self,
        machine_id: str,
        argv: Sequence[str],
        stdin: str = "",
        *,
        once: bool = False,
        timeout_s: int = EXEC_S,
        patience_s: float = PATIENCE_S,
    ) -> Output:
        """Run a command in a machine, for less than a minute."""
        body: dict[str, Any] = {"command": list(argv), "timeout": timeout_s}
        if stdin:
            body["stdin"] = stdin
        answer = await self._call(
            "POST",
            self._machines(machine_id, "exec"),
            action="exec",
            of=machine_id,
            once=once,
            timeout_s=timeout_s,
            patience_s=patience_s,
            body=body,
        )
        return Output(answer.get("exit_code", 0), answer.get("stdout", ""), answer.get("stderr", ""))

    async def destroy(self, machine_id: str) -> None:
        """Stop and remove a machine; harmless when it is gone."""
        try:
            await self._call(
                "DELETE",
                self._machines(machine_id),
                action="delete machine",
                of=machine_id,
                query={"force": "true"},
            )
        except FlyError as error:
            if error.status != _GONE:
                raise

    # Secrets

    async def set_secret(self, name: str, value: Secret) -> None:
        """Set a secret of the app."""
        path = f"/{self.settings.app}/secrets/{name}"
        await self._call("POST", path, action="post secret", body={"value": value.reveal()})

    async def secrets(self) -> list[str]:
        """Return the names of the app's secrets."""
        path = f"/{self.settings.app}/secrets"
        return [str(secret["name"]) for secret in await self._call("GET", path, action="get secrets") or []]

    async def remove_secret(self, name: str) -> None:
        """Remove a secret of the app; harmless when it is gone."""
        with suppress(FlyError):
            await self._call("DELETE", f"/{self.settings.app}/secrets/{name}", action="delete secret")

    # Logs

    async def logs(self, machine_id: str, token: str = "") -> tuple[list[dict[str, Any]], str]:
        """Return a page of what a machine printed, and where the next begins.

        The platform calls it undocumented; it loses, repeats and delays lines, so nothing rests on it.
        """
        found = await self._caller.call(
            "GET",
            f"{self.settings.logs_url}/api/v1/apps/{self.settings.app}/logs",
            action=("logs", self.settings.app),
            query={"next_token": token, "instance": machine_id},
        )
        entries = [entry["attributes"] for entry in found.get("data") or []]
        return entries, str((found.get("meta") or {}).get("next_token") or token)

    def _machines(self, *parts: str) -> str:
        return "/".join((f"/{self.settings.app}/machines", *parts))

    async def _call(self, method: str, path: str, *, action: str, of: str = "", **more: Any) -> Any:
        url = f"{self.settings.machines_url}/v1/apps{path}"
        return await self._caller.call(method, url, action=(action, of or self.settings.app), **more)
