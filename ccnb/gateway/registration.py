"""Registrations: which runs may call the gateway, each a private file in its run's folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ccnb.errors import GatewayError, SpecError

VERSION = 1
FILE = "gateway.json"
CALLS_FILE = "calls.jsonl"
"""Beside it: a line for each call of the run."""

_RUN_ID = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_KEY = re.compile(rf"sk-ant-(?:api03|oat01)-ccnb-(?P<run_id>{_RUN_ID})-[A-Za-z0-9_-]{{43}}")
_SHAPES = {"ANTHROPIC_API_KEY": "api03", "CLAUDE_CODE_OAUTH_TOKEN": "oat01"}
"""How the vendor's credentials begin, by the variable that holds them."""

_LATER = {
    "variable": str,
    "run_folder": str,
    "budget_usd": int | float,
    "budget_tokens": int,
    "budget_group": str,
}
"""Fields that a file may lack, with their types."""


@dataclass(frozen=True)
class Registration:
    """A run's leave to call the gateway."""

    run_id: str
    api: str
    """Where answers come from: `live`, or such as `script:demo` or `script:/path/file.yaml`."""
    workspace: str
    """The workspace's path as the place sees it."""
    until: float
    """Unix seconds after which the gateway refuses the run."""
    key: str = field(repr=False)
    """The run key: what the agent holds in place of a credential. Secret."""
    hosts: tuple[str, ...] = ()
    """What the run may reach through the egress proxy, as in `RunSpec.network`."""
    variable: str = "ANTHROPIC_API_KEY"
    """Where the agent has the key: it works otherwise with a token than with an API key."""
    run_folder: str = ""
    """The path, as the place sees it, of the folder with the agent's home and settings."""
    budget_usd: float | None = None
    """What its calls may cost, by list prices."""
    budget_tokens: int | None = None
    """How many tokens they may use."""
    budget_group: str | None = None
    """Runs of one group share the budgets: what they spend together counts."""

    @property
    def is_live(self) -> bool:
        """Whether the run may still call."""
        return time.time() < self.until


def register(
    home: Path,
    run_id: str,
    *,
    api: str,
    workspace: str,
    until: float,
    variable: str = "ANTHROPIC_API_KEY",
    run_folder: str = "",
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    budget_group: str | None = None,
    hosts: Sequence[str] = (),
    earlier: Registration | None = None,
) -> Registration:
    """Let a run call the gateway until a time, with a key made for it.

    The key is of the same kind as the credential that it stands for: `variable` says which.

    Call it before `process.ensure`: a gateway ends itself when no run is registered.

    Parameters
    ----------
    earlier
        The same run's, whose key is to stay if it is of the kind: whoever makes a place again then takes back
        what was set for the first one, far away, when its maker died.

    Raises
    ------
    ScriptError
        The script has a mistake or does not exist.
    SpecError
        The run id or the api can't be used.
    """
    if not re.fullmatch(_RUN_ID, run_id):
        raise SpecError(f"'{run_id}' can't be a run id; use up to 64 letters, digits, '-' and '_'")
    api = _checked(api)
    key = f"sk-ant-{_SHAPES.get(variable, 'oat01')}-ccnb-{run_id}-{secrets.token_urlsafe(32)}"
    if earlier is not None and earlier.variable == variable:
        key = earlier.key
    registration = Registration(
        run_id=run_id,
        api=api,
        workspace=workspace,
        until=until,
        key=key,
        variable=variable,
        run_folder=run_folder,
        budget_usd=budget_usd,
        budget_tokens=budget_tokens,
        budget_group=budget_group,
        hosts=tuple(hosts),
    )
    for folder in (home, home / "runs", home / "runs" / run_id):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / FILE, {"version": VERSION, **asdict(registration)})
    return registration


def read(home: Path, run_id: str) -> Registration | None:
    """Return a run's registration, expired or not; None when there is none that can be read."""
    if not re.fullmatch(_RUN_ID, run_id):
        return None
    return read_file(home / "runs" / run_id / FILE)


def unregister(home: Path, run_id: str) -> None:
    """End a run's access at once; no registration is fine."""
    if re.fullmatch(_RUN_ID, run_id):
        (home / "runs" / run_id / FILE).unlink(missing_ok=True)


def live(home: Path) -> list[Registration]:
    """Return the registrations that have not expired."""
    try:
        folders = sorted(entry.path for entry in os.scandir(home / "runs"))
    except OSError:
        return []
    found = (read_file(Path(folder, FILE)) for folder in folders)
    return [registration for registration in found if registration is not None and registration.is_live]


def split_api(api: str) -> tuple[str, str]:
    """Split `script:demo` into its kind and the rest.

    Raises
    ------
    SpecError
        The gateway can't answer from such a source.
    """
    kind, _, rest = api.partition(":")
    if (kind == "live") == bool(rest) or kind not in ("live", "script", "record", "replay"):
        raise SpecError(f"the gateway can't answer api='{api}'; use 'script:NAME' or 'script:FILE.yaml'")
    return kind, rest


def run_of(key: str) -> str | None:
    """Return the id of the run that a key claims to be of; None for what is no run key."""
    match = _KEY.fullmatch(key)
    return match["run_id"] if match else None


def read_file(path: Path) -> Registration | None:
    """Return the registration in a file, or None."""
    data = read_json(path)
    if data is None or data.get("version") != VERSION:
        return None
    fields = {name: data.get(name) for name in ("run_id", "api", "workspace", "key")}
    until = data.get("until")
    hosts = data.get("hosts", [])
    texts = [*fields.values(), *hosts] if isinstance(hosts, list) else [None]
    if not all(isinstance(value, str) for value in texts) or not isinstance(until, int | float):
        return None
    known: dict[str, Any] = {**fields, "hosts": tuple(hosts)}
    known |= {name: data[name] for name, kind in _LATER.items() if isinstance(data.get(name), kind)}
    return Registration(until=float(until), **known)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None when there is none."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_private(path: Path, data: dict[str, Any]) -> None:
    """Replace a file as a whole by JSON that only its owner can read.

    Raises
    ------
    GatewayError
        The file can't be written.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(data, file)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise GatewayError(f"can't write {path}: {error.strerror}; free space or set CCNB_HOME") from None


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Add one JSON line to a private file.

    One write of one line to a file opened for appending: two gateways' lines never mix.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, json.dumps(value).encode() + b"\n")
    finally:
        os.close(fd)


def _checked(api: str) -> str:
    """Read the source once, so that mistakes show before the run, and make its path absolute."""
    # Imported here: reading YAML costs more than the rest of this module, and only this call needs it.
    from ccnb.gateway.script import is_shipped_name, load_script

    kind, name = split_api(api)
    if kind != "script":
        return api
    load_script(name)
    return api if is_shipped_name(name) else f"script:{Path(name).expanduser().absolute()}"
