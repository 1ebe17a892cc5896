"""Fly.io without flyctl: make the app, push the image, see what is there."""

from __future__ import annotations

import asyncio
import getpass
import re
import secrets
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.table import Table

from ccnb import _loop
from ccnb.cli.machine import build_with, engine_of
from ccnb.cli.output import console, print_json, say
from ccnb.errors import CcnbError, ModeUnavailableError, SpecError
from ccnb.fly import Client, Machine, Settings, images
from ccnb.store import Store, home

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LOG_PAUSE_S = 1.0
_LATE_S = 5.0
"""How long the platform's log may be behind (tried on nothing but the double)."""


def setup(app: str | None, org: str | None, region: str | None) -> int:
    """Make the app on Fly.io, unless it is there, and name it in fly.toml."""
    settings = Settings.find(app=app, org=org, region=region)
    if not settings.app:
        user = re.sub("[^a-z0-9]+", "-", getpass.getuser().lower()).strip("-")
        settings = replace(settings, app=f"ccnb-{user}-{secrets.token_hex(3)}")
    if not _NAME.fullmatch(settings.app):
        raise SpecError(f"{settings.app!r} can't name an app; use small letters, digits and '-'")
    client = Client(settings.needed())
    if _loop.run(client.app()) is None:
        _loop.run(client.make_app())
        say(f"made app {settings.app} in organisation {settings.org}")
    else:
        say(f"app {settings.app} is there already")
    _write_toml(Path("fly.toml"), settings)
    say("next: `ccnb fly build` pushes the image that runs happen in")
    return 0


def build(engine: str | None, *, remote: bool) -> int:
    """Build the project's image for linux/amd64, push it to the app's registry, note its digest."""
    settings = Settings.find().needed()
    repository = f"{settings.registry}/{settings.app}"
    if remote:
        say("Fly.io's own builders need flyctl, and the Dockerfile beside fly.toml (`ccnb fly setup`):")
        say(f"  fly deploy --app {settings.app} --build-only --push --remote-only --image-label ccnb")
        say(f"  export CCNB_FLY_IMAGE={repository}:ccnb")
        return 0
    if _loop.run(Client(settings).app()) is None:
        raise ModeUnavailableError(f"Fly.io has no app {settings.app!r} yet; run `ccnb fly setup`")
    from ccnb import engine as engines

    found = engine_of(engine)
    options = engines.ImageOptions.usual()
    if found.info.get("Architecture") not in ("x86_64", "amd64"):
        options = replace(options, platform="linux/amd64")
    name = build_with(found, options)
    token = settings.token.reveal() if settings.token else ""
    digest = engines.push(
        found,
        name,
        repository,
        {"username": "x", "password": token},
        lambda line: say(line, stderr=True),
    )
    images.note(settings, f"{repository}@{digest}", home())
    say(f"{repository}@{digest}")
    return 0


def status(*, as_json: bool) -> int:
    """Show the app, its image and the machines that runs have."""
    settings = Settings.find().needed()
    client = Client(settings)
    app, machines = _loop.run(_both(client))
    if app is None:
        raise ModeUnavailableError(f"Fly.io has no app {settings.app!r} yet; run `ccnb fly setup`")
    ours = [machine for machine in machines if "ccnb_run" in machine.metadata and not machine.is_gone]
    try:
        image = images.known(settings, home())
    except CcnbError as error:
        image = error.message
    found: dict[str, Any] = {
        "app": settings.app,
        "organisation": (app.get("organization") or {}).get("slug"),
        "region": settings.region,
        "status": app.get("status"),
        "image": image,
        "machines": [{"run_id": m.metadata["ccnb_run"], "machine": m.id, "state": m.state} for m in ours],
    }
    if as_json:
        print_json(found)
        return 0
    for name in ("app", "organisation", "region", "image"):
        say(f"{name}: {found[name]}")
    resting = " (as it should be between runs: it serves nobody)" if not ours else ""
    say(f"status: {found['status']}{resting}")
    if ours:
        _print_machines(ours)
    return 0


def logs(run_id: str, *, follow: bool) -> int:
    """Print what a run's machine said to the platform's log, which loses and repeats lines.

    With `follow`, until the machine is gone and nothing has come for a while.
    """
    settings = Settings.find().needed()
    row = Store().run(run_id)
    place = Store().place(row.run_id)
    client = Client(settings)
    machine = place["id"] if place else _loop.run(_machine_of(client, row.run_id))
    seen: set[str] = set()
    token, is_last = "", not follow
    while True:
        entries, token = _loop.run(client.logs(machine, token))
        for entry in entries:
            key = f"{entry.get('timestamp')} {entry.get('message')}"
            # Neither is every line here nor each one once, and other machines' old ones may be among them.
            if key not in seen and entry.get("instance") == machine:
                say(key)
            seen.add(key)
        if entries:
            continue
        if is_last:
            return 0
        found = _loop.run(client.machine(machine))
        is_last = found is None or found.is_gone
        # Of a machine that is gone some lines may still be on their way.
        _loop.run(asyncio.sleep(_LATE_S if is_last else _LOG_PAUSE_S))


async def _machine_of(client: Client, run_id: str) -> str:
    for machine in await client.machines(deleted=True, ccnb_run=run_id):
        return machine.id
    raise CcnbError(f"Fly.io knows no machine of run {run_id} any more; `ccnb show {run_id}` has what it did")


async def _both(client: Client) -> tuple[dict[str, Any] | None, list[Machine]]:
    app = await client.app()
    return app, await client.machines() if app is not None else []


def _print_machines(machines: list[Machine]) -> None:
    table = Table("run", "machine", "region", "state", box=None, header_style="bold", pad_edge=False)
    for machine in machines:
        table.add_row(machine.metadata["ccnb_run"], machine.id, machine.region, machine.state)
    console().print(table)


def _write_toml(path: Path, settings: Settings) -> None:
    """Name the app and its region in fly.toml; what else stands there is the person's."""
    text = path.read_text() if path.exists() else files("ccnb").joinpath("data", "fly.toml").read_text()
    new = text
    for key, value in (("app", settings.app), ("primary_region", settings.region)):
        line = f'{key} = "{value}"'
        pattern = re.compile(rf"(?m)^{key}\s*=.*$")
        new = pattern.sub(line, new, count=1) if pattern.search(new) else f"{line}\n{new}"
    if new != text or not path.exists():
        # A link would lead to the template that other apps are made from.
        path.unlink(missing_ok=True)
        path.write_text(new)
        say(f"wrote {path}")
