"""What to run: one frozen value, checked when it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from ccnb import network
from ccnb.errors import SpecError, did_you_mean
from ccnb.redact import Secret

TEST_PROMPT = (
    "Create a file named hello.txt in the current folder that holds the single line "
    "'Hello from Claude Code', then read it back and tell me what it says."
)
"""What `ccnb run` asks for when no prompt is given."""

PERMISSION_MODES = ("acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "manual", "plan")
"""Claude Code's own words (`claude --help`, 2.1)."""

AUTHS = ("env", "gateway", "host", "secret")
ISOLATIONS = ("auto", "none")
API_SOURCES = ("live", "script", "record", "replay")

PUSH_TOKEN = "CCNB_PUSH_TOKEN"  # noqa: S105 - the name of a variable
"""The secret in `env` with which `push_to` is written to."""

_FLOATS = ("timeout_s", "stall_s", "keep_s", "cpus", "budget_usd")
_OPTIONAL = ("cpus", "budget_usd", "budget_tokens", "max_turns", "memory_mb")
_WORDS = (
    *("mode", "model", "auth", "setup", "check", "image", "continues"),
    *("system_prompt", "append_system_prompt", "push_to"),
)
_SANDBOX = re.compile(r"[a-z][a-z0-9-]{0,17}")
"""Short, for it becomes part of a socket's path."""
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OURS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
)
_GIT_URL = re.compile(r"(https?|ssh|git|file)://.|[\w.-]+@[\w.-]+:.")
_PUSH_URL = re.compile(r"https?://[^\s/@#]+/[^\s@#]+(#(?!-)[\w.-]+(/[\w.-]+)*)?")
_PASSWORD = re.compile(r"[a-z]+://[^/@]*:[^/@]*@|https?://[^/@]+@")
_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One task for the agent, with its limits.

    Raises
    ------
    SpecError
        A field has a value that can't be used; the message names the field.
    """

    prompt: str
    """What the agent is asked to do; any length."""
    mode: str = "auto"
    """`sandbox`, `docker`, `podman`, `local`, ... or `auto`: the strongest local isolation that is ready."""
    model: str | None = None
    """A model's name or alias; `None` is the agent's own default, which depends on the credential."""
    workspace: str | None = None
    """The folder that the agent works in; `None` makes a fresh one, kept with the run.

    A git URL, with `#BRANCH` or `#TAG` at its end, is cloned for the run.
    """
    copy: bool = False
    """Work on a copy of the workspace; the changes come back with `RunResult.apply`."""
    api: str = "live"
    """`live`, `script:NAME-or-FILE` for the scripted model, `record:FILE` or `replay:FILE` for a cassette."""
    auth: str | None = None
    """How the credential reaches the API: `env` puts it in the place's environment; with `gateway` the place
    has a stand-in, and the gateway puts the credential on outside of it; `host` leaves it to the proxy of
    Docker's sandboxes.

    `None` is `host` in mode `sandbox`. Elsewhere it is `gateway` for an API key, and for every recording. For
    a subscription's token it is `env`: the vendor's terms keep such a token to Claude Code itself, so whether
    another program may add it to Claude Code's own, unchanged requests is for its owner to say, by
    `auth="gateway"`.
    """
    network: str | tuple[str, ...] = "open"
    """`open`; `none`: no interface but loopback (in a sandbox: nothing through its proxy); or a list of the
    only hosts that can be reached, on port 443 unless given: `api.example.org`, `*.example.org`,
    `host:8443`."""
    setup: str | None = None
    """A shell command that runs in the workspace before the agent."""
    check: str | None = None
    """A shell command that runs in the workspace after the agent; exit code 0 means the work is good."""
    timeout_s: float = 1800.0
    """The longest that the agent may work."""
    stall_s: float = 900.0
    """Silence of the agent after which it is taken for wedged."""
    max_turns: int | None = None
    budget_usd: float | None = None
    """What the run may cost by list prices; the agent minds it, and the gateway where it serves the run.

    A model without a known price costs nothing at the gateway; the result's warnings say so.
    """
    budget_tokens: int | None = None
    """How many tokens the run may use, those of the cache too; only the gateway can hold it."""
    budget_group: str | None = None
    """A name: runs that share it share their budgets too, where the gateway serves them."""
    env: Mapping[str, str | Secret] = dataclasses.field(default_factory=dict)
    """Variables for set-up, agent and check; wrap a value in `Secret` to keep it out of every output."""
    permission_mode: str | None = None
    """Claude's own setting; `None` is `bypassPermissions` in an isolated place, else `acceptEdits`."""
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    system_prompt: str | None = None
    append_system_prompt: str | None = None
    resume: str | None = None
    """A session id of Claude's to go on with."""
    continues: str | None = None
    """The id of an earlier run to go on with: in its conversation, in its workspace."""
    extra_args: tuple[str, ...] = ()
    """More arguments for `claude`, as they are."""
    image: str | None = None
    """The container image; `None` is the project's own."""
    cpus: float | None = None
    memory_mb: int | None = None
    max_processes: int = 1024
    isolation: str = "auto"
    """`none` lets mode `local` run a real model in a plain process, with no wall around it."""
    sandbox: str | None = None
    """The name of a lasting sandbox (mode `sandbox`), made when it isn't there, in which the next run finds
    what one has installed. It belongs to one workspace, has one run at a time, and stays until it is removed
    by `ccnb sandbox rm`."""
    keep: bool = False
    """Leave the place running after the end, for `ccnb shell`."""
    keep_s: float = 86_400.0
    """How long a place outlives the agent when nobody takes it away."""
    push_to: str | None = None
    """A git URL (`https://host/team/repo#branch`) to which a machine far away pushes the workspace by itself
    when agent and check have ended; without a branch, to `ccnb/` and the run's id. `env` needs the secret
    `CCNB_PUSH_TOKEN` for it, which the agent doesn't get (mode `fly`)."""

    def __post_init__(self) -> None:
        for name in ("allowed_tools", "disallowed_tools", "extra_args"):
            object.__setattr__(self, name, _strings(name, getattr(self, name)))
        object.__setattr__(self, "env", dict(self.env or {}))
        if self.workspace is not None:
            url = git_url(str(self.workspace))
            object.__setattr__(self, "workspace", str(self.workspace) if url else _absolute(self.workspace))
        object.__setattr__(self, "network", network.parse(self.network))
        _check(self)
        # Specs that are equal must have one fingerprint, and 60 is written otherwise than 60.0.
        for name in _FLOATS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))

    @property
    def api_source(self) -> str:
        """Return the word before the colon of `api`."""
        return self.api.partition(":")[0]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the hosts that `network` lists; none where it is `open` or `none`."""
        return self.network if isinstance(self.network, tuple) else ()

    @property
    def secrets(self) -> list[Secret]:
        """Return the secret values of `env`."""
        return [v for v in self.env.values() if isinstance(v, Secret)]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value; a secret stands there by name only."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["env"] = {k: {"secret": True} if isinstance(v, Secret) else v for k, v in self.env.items()}
        return {"version": _VERSION} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a spec from what `to_dict` gave, in this version or an older one.

        A secret comes back withheld: what was never written can't be read.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        env = values.get("env", {})
        values["env"] = {k: Secret.withheld() if isinstance(v, dict) else v for k, v in env.items()}
        return cls(**values)

    @classmethod
    def make(cls, prompt: str, options: Mapping[str, Any]) -> Self:
        """Make a spec from loose options; an unknown one is an error that names the nearest.

        Raises
        ------
        SpecError
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = did_you_mean(name, known) or "; help(ccnb.run) lists them"
                raise SpecError(f"unknown option {name!r}{near}")
        return cls(prompt=prompt, **options)

    def fingerprint(self) -> str:
        """Return a digest that is the same for specs that ask for the same thing.

        How much it may cost is no part of that.
        """
        budgets = {"budget_usd": None, "budget_tokens": None, "budget_group": None}
        text = json.dumps(self.to_dict() | budgets, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def git_url(workspace: str) -> tuple[str, str] | None:
    """Return a workspace's git URL and its branch or tag; `None` for a folder."""
    if not _GIT_URL.match(workspace):
        return None
    url, _, ref = workspace.partition("#")
    return url, ref


def _absolute(workspace: Any) -> str:
    if not str(workspace):
        raise SpecError("workspace is empty; name a folder, or leave it out for a fresh one")
    try:
        return str(Path(workspace).expanduser().absolute())
    except (RuntimeError, TypeError) as error:
        raise SpecError(f"workspace {workspace!r} can't be used ({error}); name a folder") from None


def _strings(name: str, value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(v, str) and v for v in values):
        raise SpecError(f"{name} must be a list of non-empty strings, not {value!r}")
    return values


def _check(spec: RunSpec) -> None:
    if not isinstance(spec.prompt, str) or not spec.prompt.strip():
        raise SpecError("prompt is empty; say what the agent should do")
    for name in _WORDS:
        value = getattr(spec, name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise SpecError(f"{name} must be a non-empty string, not {value!r}")
        _no_nul(name, value or "")
    for name in ("allowed_tools", "disallowed_tools", "extra_args"):
        _no_nul(name, *getattr(spec, name))
    for name in _FLOATS:
        _positive(name, getattr(spec, name), (int, float))
    for name in ("max_turns", "budget_tokens", "memory_mb", "max_processes"):
        _positive(name, getattr(spec, name), (int,))
    _one_of("permission_mode", spec.permission_mode, PERMISSION_MODES)
    _one_of("auth", spec.auth, AUTHS)
    _one_of("isolation", spec.isolation, ISOLATIONS)
    _check_api(spec.api)
    _check_env(spec.env)
    if spec.resume is not None:
        _check_session(spec.resume)
    _check_url(spec)
    _check_copy(spec)
    _check_push(spec)
    _check_sandbox(spec)
    if spec.budget_group is not None and not _GROUP.fullmatch(str(spec.budget_group)):
        raise SpecError(f"budget_group must be up to 64 letters, digits, - and _, not {spec.budget_group!r}")


def _no_nul(name: str, *values: str) -> None:
    if any("\0" in value for value in values):
        raise SpecError(f"{name} holds a NUL byte, which no command can take; remove it")


def _check_copy(spec: RunSpec) -> None:
    if spec.copy and spec.continues is not None:
        raise SpecError("continues goes on in the earlier run's workspace; leave copy out")
    if spec.copy and spec.workspace is None:
        raise SpecError("copy=True needs a workspace to copy; name one, or leave copy out")


def _check_sandbox(spec: RunSpec) -> None:
    if spec.sandbox is None:
        return
    if not isinstance(spec.sandbox, str) or not _SANDBOX.fullmatch(spec.sandbox):
        raise SpecError(
            f"sandbox must be a name of up to 18 small letters, digits and -, not {spec.sandbox!r}"
        )
    if spec.mode not in ("auto", "sandbox"):
        raise SpecError(f"sandbox={spec.sandbox!r} is for mode sandbox, not {spec.mode}; leave one out")
    own = spec.workspace is None and spec.continues is None
    if own or spec.copy or (spec.workspace is not None and git_url(spec.workspace)):
        raise SpecError("a lasting sandbox belongs to one folder, which runs work in; name it as workspace")
    if spec.network != "open":
        raise SpecError("a lasting sandbox keeps the rules of earlier runs; leave network or sandbox out")
    if spec.keep:
        raise SpecError("a lasting sandbox stays anyway; leave keep out")


def _positive(name: str, value: Any, types: tuple[type, ...]) -> None:
    if value is None and name in _OPTIONAL:
        return
    kind = "a whole number" if types == (int,) else "a number"
    number = isinstance(value, types) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise SpecError(f"{name} must be {kind} above zero, not {value!r}")


def _one_of(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        near = did_you_mean(str(value), known)
        raise SpecError(f"{name} must be one of {', '.join(known)}, not {value!r}{near}")


def _check_api(api: Any) -> None:
    source, _, name = str(api).partition(":")
    _one_of("api", source, API_SOURCES)
    if (source == "live") == bool(name):
        raise SpecError(f"api must be 'live' or SOURCE:NAME such as 'script:demo', not {api!r}")


def _check_env(env: Mapping[Any, Any]) -> None:
    for name, value in env.items():
        if not isinstance(name, str) or not _ENV_NAME.fullmatch(name):
            raise SpecError(f"env has {name!r}, which is no variable's name; use letters, digits and _")
        if name in _OURS:
            raise SpecError(
                f"env sets {name}, which ccnb passes by itself; leave it out, or see auth and api"
            )
        if not isinstance(value, str | Secret) or (isinstance(value, str) and "\0" in value):
            raise SpecError(f"env[{name!r}] must be a string or a Secret without NUL bytes")


def _check_url(spec: RunSpec) -> None:
    if spec.workspace is None or not git_url(spec.workspace):
        return
    if _PASSWORD.match(spec.workspace):
        # It would be written down with the run.
        raise SpecError(
            "the workspace's URL holds a password; leave it out, git asks for one in its own ways"
        )
    if spec.copy:
        raise SpecError("copy=True is for a folder, and a URL is cloned anyway; leave copy out")


def _check_push(spec: RunSpec) -> None:
    if spec.push_to is None:
        return
    if not _PUSH_URL.fullmatch(spec.push_to) or ".." in spec.push_to:
        # What stands there may hold a password, and is not said again.
        raise SpecError(
            "push_to must be a URL such as https://host/team/repo#branch, without a user or password; the "
            f"token goes into env as {PUSH_TOKEN}"
        )
    if not isinstance(spec.env.get(PUSH_TOKEN), Secret):
        raise SpecError(
            f"push_to needs a token that may write there: env={{'{PUSH_TOKEN}': ccnb.Secret(...)}}, "
            f"or --secret-env {PUSH_TOKEN}"
        )


def _check_session(session: str) -> None:
    try:
        UUID(session)
    except (ValueError, AttributeError, TypeError):
        raise SpecError(f"resume must be a session id of Claude's (a UUID), not {session!r}") from None
