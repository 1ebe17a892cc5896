"""From a spec to all that a mode needs: the run folder's files, the agent's command, its environment."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from ccnb import claude, credentials
from ccnb.mode.base import Image, Layout, Mode, Plan
from ccnb.redact import Secret
from ccnb.runner.model import Access, needs_credential
from ccnb.runner.workspace import SENTINEL
from ccnb.spec import RunSpec
from ccnb.store import RunFolder, Store, store_label

_SCRIPTED_TOOLS = ("Bash", "Edit", "Read", "Write")

_WRITTEN_THERE = (
    *("steps", "out", "err", "setup.out", "check.out", "reason", "stop", "enough", "heartbeat"),
    *("relay.ready", "relay.failed", "relay.err"),
)

_KEPT_FOR_US_S = 0
"""How long a place lingers after its end when all that it made lies on this machine already."""


def store_id(store: Store) -> str:
    """Return the label by which a store's places are told from those of another."""
    return store_label(store.home)


def lifetime_s(spec: RunSpec) -> float:
    """Return how long after its start a run can be there at all, by its own limits."""
    return 3 * spec.timeout_s + spec.keep_s + 600


def environment(spec: RunSpec, layout: Layout, access: Access, *, injects: bool = False) -> dict[str, str]:
    """Return the environment of everything in the place, secrets in the clear.

    Where the mode's own proxy adds the credential, the place keeps what it stands by for that: home and all.
    """
    ours = {
        "HOME": f"{layout.inside}/home",
        "CLAUDE_CONFIG_DIR": f"{layout.inside}/config",
        **credentials.IN_THE_PLACE,
    }
    env = {**({} if injects else ours), **claude.QUIET, **access.env}
    given = {**access.credential, **spec.env}
    return env | {n: v.reveal() if isinstance(v, Secret) else v for n, v in given.items()}


def agent_command(spec: RunSpec, image: Image) -> list[str]:
    """Return the agent's command. Permissions are skipped in an isolated place only, unless asked for."""
    if image.isolated or spec.permission_mode:
        return claude.argv(spec, spec.permission_mode or claude.BYPASS)
    if not needs_credential(spec) and not spec.allowed_tools:
        # What a script or a cassette asks for is known before it runs.
        spec = replace(spec, allowed_tools=_SCRIPTED_TOOLS)
    return claude.argv(spec, "acceptEdits")


def lay_out(folder: RunFolder, spec: RunSpec, workspace: Path, *, relay: bool) -> None:
    """Write the run folder's inner part: supervisor, prompt, commands, the sentinel's twin."""
    inside = folder.inside
    for name in ("home", "config"):
        (inside / name).mkdir(exist_ok=True, mode=0o700)
    for name in ("supervisor.sh", *(["relay.mjs"] if relay else [])):
        (inside / name).write_bytes(files("ccnb").joinpath("data", name).read_bytes())
    for name in _WRITTEN_THERE:
        # Left by a try in a place that did not see these folders.
        (inside / name).unlink(missing_ok=True)
    (inside / "prompt").write_bytes(spec.prompt.encode(errors="surrogateescape"))
    for name, command in (("setup", spec.setup), ("check", spec.check)):
        if command:
            (inside / name).write_text(command + "\n")
    (inside / "sentinel").touch()
    (workspace / SENTINEL).touch()


def make_plan(
    *,
    run_id: str,
    store: Store,
    spec: RunSpec,
    mode: Mode,
    image: Image,
    workspace: Path,
    access: Access,
    archive: bool,
) -> Plan:
    """Return the plan of a place."""
    folder = store.folder(run_id)
    layout = mode.layout(folder, workspace, image)
    keep_s = math.ceil(spec.keep_s) if spec.keep or archive else _KEPT_FOR_US_S
    supervisor = [
        f"{layout.inside}/supervisor.sh",
        layout.inside,
        layout.workspace,
        str(math.ceil(spec.timeout_s)),
        str(keep_s),
        str(math.ceil(lifetime_s(spec))),
    ]
    return Plan(
        run_id=run_id,
        store_id=store_id(store),
        spec=spec,
        image=image,
        folder=folder,
        workspace=workspace,
        layout=layout,
        command=[*supervisor, *agent_command(spec, image)],
        env=environment(spec, layout, access, injects=image.injects),
        api_folder=access.socket_folder,
        archive=archive,
    )
