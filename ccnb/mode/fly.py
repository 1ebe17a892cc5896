"""Mode `fly`: a machine of Fly.io, far away; it needs neither flyctl nor this machine while it works."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ccnb.errors import (
    CcnbError,
    CredentialError,
    ModeUnavailableError,
    OutOfReachError,
    StartError,
)
from ccnb.fly import Client, Settings, images, prices, registry
from ccnb.fly.answers import FlyError
from ccnb.mode import _fly, _machine, _push
from ccnb.mode._app_secrets import AppSecrets, details, secret_name
from ccnb.mode._tail import Tail
from ccnb.mode.base import Exit, Image, Layout, Place, PlaceState, Plan, Readiness, Say
from ccnb.spec import RunSpec
from ccnb.store import RunFolder, home

LAYOUT = Layout(inside="/ccnb", workspace="/workspace", api_socket="")
_START_LIMIT_S = 300.0
_LOOK_PATIENCE_S = 10.0
_ENDED = ("stopped", "failed", "suspended", "launch_failed")


class FlyMode:
    """A place is a machine: a virtual machine with a kernel of its own, which ends and removes itself."""

    name = "fly"
    takes_archives = True
    auths = ("secret", "env")
    pushes = True
    rank = 35

    def __init__(self) -> None:
        self._tails: dict[str, Tail] = {}

    async def probe(self) -> Readiness:
        """Say whether token, app, region and image are there, by asking the platform and its registry."""
        settings = Settings.find()
        facts = self.facts(settings)
        try:
            client = _client(settings.needed())
            await _see_app(client)
            await _see_region(client)
            image = images.known(settings, home())
            await registry.see(settings, image)
        except CcnbError as error:
            what, _, action = error.message.rpartition("; ")
            return Readiness(
                self.name, False, why=what, next_action=action, rank=self.rank, remote=True, facts=facts
            )
        version = f"app {settings.app} in {settings.region}, {image.partition('@')[0]}"
        return Readiness(self.name, True, version=version, rank=self.rank, remote=True, facts=facts)

    def facts(self, settings: Settings) -> dict[str, str]:
        """Return the mode's row in the comparison of modes."""
        guest = _fly.USUAL
        return {
            "where": f"Fly.io, region {settings.region}",
            "isolation": "virtual machine (own kernel)",
            "auth": "secret of the app, or environment of the machine",
            "workspace": "sent to /workspace and fetched back",
            "state": "a machine that removes itself",
            "cost": f"about ${guest.usd_per_hour:.3f} an hour ({guest})",
            "platform": "any; the machine is Linux on amd64",
        }

    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """See that the run makes sense far away and that the app and an image are there.

        Raises
        ------
        SpecError, CredentialError, ModeUnavailableError, ImageError
        """
        settings = Settings.find().needed()
        _fly.check(spec, settings)
        await _see_app(_client(settings))
        reference = spec.image or images.known(settings, home())
        guest = _fly.guest(spec)
        wait_usd = spec.keep_s / 3600 * guest.usd_per_hour
        say(
            f"a machine of {guest} in {settings.region} costs about ${guest.usd_per_hour:.3f} an hour; "
            f"results that nobody fetches wait {spec.keep_s / 3600:.1f} h there, for ${wait_usd:.2f} at most"
        )
        conditions = {
            "engine": f"fly {settings.region}",
            "image": reference,
            "image_digest": reference.partition("@")[2],
            "guest": str(guest),
            "machine_usd_per_hour": f"{guest.usd_per_hour:.4f}",
            "machine_prices_as_of": prices.AS_OF,
        }
        return Image(reference=reference, conditions=conditions, archive=True)

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return the paths in a machine: always the same."""
        return LAYOUT

    async def create(self, plan: Plan) -> Place:
        """Make the machine, which waits for the run's files."""
        settings = Settings.find().needed()
        client = _client(settings)
        await _push.ask(plan)
        secret, plain = _fly.divided(plan)
        by_secret = secret if plan.spec.auth != "env" else {}
        env = plain if by_secret else {**plain, **{name: value.reveal() for name, value in secret.items()}}
        place = {
            "app": settings.app,
            "url": settings.machines_url,
            "region": settings.region,
            "secrets": sorted({secret_name(value) for value in by_secret.values()}),
            "push_to": plan.spec.push_to,
            "started": False,
        }
        config = _fly.config(plan, env, by_secret, place)
        machine = await _secrets.with_them(
            client, plan.run_id, by_secret.values(), lambda: client.create(f"ccnb-{plan.run_id}", config)
        )
        return Place(plan.run_id, machine.id, place)

    async def start(self, place: Place, plan: Plan) -> Place:
        """Wait for the machine, send the files; with the last of them the supervisor starts."""
        client = _of(place)
        try:
            await client.started(place.id, _START_LIMIT_S)
        except StartError as error:
            state = await self.state(place)
            raise StartError(f"{error.message} ({state.status} {state.detail})") from None
        more = await asyncio.to_thread(_push.content, plan)
        archive = await asyncio.to_thread(_machine.packed, plan, _fly.UID, more)
        with archive:
            await _machine.send(_runner(place), archive)
        return replace(place, details={**place.details, "started": True})

    async def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Follow a file of the run folder, by the same short command for all of them."""
        tail = self._tails.setdefault(place.id, Tail(_watcher(self, place), _fly.UID, folder))
        async for chunk in tail.follow(name, offset):
            yield chunk

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder."""
        await _runner(place)(_machine.as_user(_fly.UID, ["touch", f"{LAYOUT.inside}/{name}"]), "")
        if place.id in self._tails:
            self._tails[place.id].hurry()

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the machine as the agent's user, for less than a minute."""
        command = _machine.as_user(_fly.UID, ["sh", "-c", 'cd "$0"; exec "$@"', LAYOUT.workspace, *argv])
        done = await _of(place).exec(place.id, command, once=True)
        return Exit(done.code, (done.stdout + done.stderr).encode())

    def shell(self, place: Place) -> list[str]:
        """Return flyctl's command for a shell; without flyctl, one of ours that takes a line at a time."""
        for program in ("fly", "flyctl"):
            if shutil.which(program):
                return [program, "ssh", "console", "--app", place.details["app"], "--machine", place.id]
        where = (place.details["app"], place.id, place.details["url"])
        return [sys.executable, "-m", "ccnb.fly.shell", *where]

    async def state(self, place: Place) -> PlaceState:
        """Ask the platform how the machine is; of one that removed itself, what it still knows.

        Raises
        ------
        OutOfReachError
            Nothing answers, or the token isn't taken any more.
        """
        try:
            return await self._state(place)
        except CcnbError as error:
            raise OutOfReachError(error.message) from None

    async def _state(self, place: Place) -> PlaceState:
        client = _of(place)
        machine = await client.machine(place.id, patience_s=_LOOK_PATIENCE_S)
        if machine is None or machine.is_gone:
            return await _last_words(client, place)
        if machine.state in _ENDED:
            return _fly.ended(machine)
        if machine.state in ("created", "starting"):
            return PlaceState("created")
        if not place.details["started"] and not await _has_begun(client, place):
            return PlaceState("created")
        return PlaceState("alive")

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> Mapping[str, str]:
        """Bring back the run folder and what is new in the workspace; wait for the push, if any."""
        await _machine.fetch(_runner(place), _fly.UID, folder, workspace)
        push_to = place.details.get("push_to")
        return await _push.outcome(_runner(place), push_to) if push_to else {}

    async def destroy(self, place: Place) -> None:
        """Remove the machine, and the secrets that no other machine of ours has."""
        client = _of(place)
        self._tails.pop(place.id, None)
        await client.destroy(place.id)
        await _secrets.drop(client, place)

    async def places(self, store_id: str) -> list[Place]:
        """Return the machines that carry a store's label."""
        found = await _client(Settings.find().needed()).machines(ccnb_store=store_id)
        return [Place(m.metadata["ccnb_run"], m.id, details(m)) for m in found if not m.is_gone]


_secrets = AppSecrets()
_clients: dict[tuple[str, str, str], Client] = {}


def _client(settings: Settings) -> Client:
    """Return a client that this process has: all of them together keep to the platform's limits."""
    key = (settings.machines_url, settings.app, settings.authorization)
    return _clients.setdefault(key, Client(settings))


def _of(place: Place) -> Client:
    """Return a client for the app and the platform that a place is in."""
    settings = Settings.find(app=place.details["app"], machines_url=place.details["url"])
    return _client(settings.needed())


def _runner(place: Place) -> _machine.Run:
    """Return what runs a command as root in a place and gives its output.

    Raises
    ------
    OutOfReachError
        Nothing answers, or the token isn't taken any more: the place goes on.
    """

    async def run(argv: Sequence[str], stdin: str) -> str:
        try:
            done = await _of(place).exec(place.id, argv, stdin)
        except CredentialError as error:
            raise OutOfReachError(error.message) from None
        if done.code:
            raise CcnbError(
                f"a command in machine {place.id} failed ({done.code}: {done.stderr.strip()[-200:]}); "
                "run `ccnb doctor`"
            )
        return done.stdout

    return run


def _watcher(mode: FlyMode, place: Place) -> _machine.Run:
    """Return the same for one who only looks: a machine that has ended has nothing new, and says nothing."""
    run = _runner(place)

    async def look(argv: Sequence[str], stdin: str) -> str:
        try:
            return await run(argv, stdin)
        except OutOfReachError:
            raise
        except CcnbError as error:
            if (await mode.state(place)).status in ("ended", "gone"):
                return ""
            raise OutOfReachError(error.message) from None

    return look


_seen_apps: set[Client] = set()
_seeing = asyncio.Lock()


def _begin_anew() -> None:
    """Let a forked process have connections of its own."""
    global _seeing  # noqa: PLW0603 - a lock is its loop's, and that was the parent's
    _seeing = asyncio.Lock()
    _clients.clear()
    _seen_apps.clear()


os.register_at_fork(after_in_child=_begin_anew)


async def _see_app(client: Client) -> None:
    """See once that the app is there: many runs that start at once must not all ask.

    Raises
    ------
    ModeUnavailableError
    """
    async with _seeing:
        if client in _seen_apps:
            return
        if await client.app() is None:
            raise ModeUnavailableError(f"Fly.io has no app {client.settings.app!r} yet; run `ccnb fly setup`")
        _seen_apps.add(client)


async def _see_region(client: Client) -> None:
    """See that machines can be made where they are to be.

    Raises
    ------
    ModeUnavailableError
    """
    known = await client.regions()
    if client.settings.region not in known:
        raise ModeUnavailableError(
            f"Fly.io has no region {client.settings.region!r}; "
            f"set FLY_REGION, or primary_region in fly.toml, to one of {', '.join(known)}"
        )


async def _has_begun(client: Client, place: Place) -> bool:
    """Return whether the files had come before their sender died."""
    try:
        done = await client.exec(place.id, ["test", "-e", "/run/ccnb/go"], patience_s=_LOOK_PATIENCE_S)
    except FlyError:
        return True
    return done.code == 0


async def _last_words(client: Client, place: Place) -> PlaceState:
    """Return how a machine ended that is no more, as far as the platform still says so."""
    push_to = place.details.get("push_to")
    pushed = (
        f"; what it made should be in {push_to}, or in branch ccnb/{place.run_id} there" if push_to else ""
    )
    with suppress(CcnbError):
        for machine in await client.machines(deleted=True, ccnb_run=place.run_id):
            if machine.id == place.id and machine.ending is not None:
                ended = _fly.ended(machine)
                return replace(ended, status="gone", detail=ended.detail + pushed)
    return PlaceState("gone", detail=f"Fly.io has no such machine any more{pushed}")
