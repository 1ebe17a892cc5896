"""What a mode is: a way to make a place, start the supervisor in it, read what it writes, and remove it.

A mode never parses, times, redacts, prints, retries or reads credentials: the runner does that, once for
all. Every method may raise the errors of `ccnb.errors`; what the engine behind a mode raises is mapped there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from ccnb.spec import RunSpec
from ccnb.store import RunFolder

LABEL_RUN = "ccnb.run"
LABEL_STORE = "ccnb.store"
LABEL_PLACE = "ccnb.place"

AGENT_UID = 52017
"""The agent's user id where the caller is root; no usual account has it."""

Say = Callable[[str], None]
"""Takes a line about what takes its time (a pull, a build)."""


@dataclass(frozen=True)
class Readiness:
    """Whether a mode can be used here, and the facts of it."""

    mode: str
    ready: bool
    version: str = ""
    why: str = ""
    """What is missing, when it isn't ready."""
    next_action: str = ""
    """The command that mends it."""
    rank: int = 0
    """Strength of the isolation; `auto` takes the highest that is ready and local."""
    remote: bool = False
    """Whether its places are on another machine; `auto` never takes such a mode."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Where, isolation, auth, workspace, state, cost, platform: a row of the comparison of modes."""
    notes: tuple[str, ...] = ()
    """What the person should know though it works (a limit that the engine ignores)."""


@dataclass(frozen=True)
class Image:
    """What a place is made from; a plain value."""

    reference: str = ""
    mount_program: str = ""
    """A `claude` of this machine to mount where the image may have none."""
    path: str = ""
    """The image's own PATH."""
    isolated: bool = True
    """Whether the place is walled off, so that permissions may be skipped in it."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What to record of it with the run."""
    warnings: tuple[str, ...] = ()
    archive: bool = False
    """Whether files can go in and out as archives only."""
    api_by_tcp: tuple[str, str] | None = None
    """Where the gateway must listen, and by which name it is reached, when its socket can't be mounted."""
    holds_network: bool = False
    """Whether a closed network can be held all the same, by the mode's own proxy."""
    injects: bool = False
    """Whether the mode's own proxy adds the credential to the agent's requests: then none enters the place,
    and the agent has the home that the place gives it."""
    lasting: str = ""
    """The name of the lasting place that the run goes to, where the mode has such."""


@dataclass(frozen=True)
class Layout:
    """Paths as the place sees them."""

    inside: str
    workspace: str
    api_socket: str


@dataclass(frozen=True)
class Place:
    """What a mode made for a run: ids only, so that another process can take it over."""

    run_id: str
    id: str
    details: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What to record of it with the run."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it from JSON."""
        return cls(**data)


@dataclass(frozen=True)
class Plan:
    """All that a mode needs to make a place for one run."""

    run_id: str
    store_id: str
    spec: RunSpec
    image: Image
    folder: RunFolder
    workspace: Path
    """The folder on this machine that the agent works in."""
    layout: Layout
    command: Sequence[str]
    """The supervisor with the agent's command, as the place sees it."""
    env: Mapping[str, str] = field(repr=False)
    """Everything that the processes in the place find in their environment; secrets in the clear."""
    api_folder: Path | None = None
    """The folder of the gateway's socket, when the model is reached through it."""
    archive: bool = False
    """Bring files in and out as archives instead of mounting them."""


@dataclass(frozen=True)
class Exit:
    """How a command in a place ended."""

    code: int
    output: bytes


@dataclass(frozen=True)
class PlaceState:
    """A place by the engine's word."""

    status: str
    """`created`, `alive`, `ended` or `gone`."""
    code: int | None = None
    out_of_memory: bool = False
    detail: str = ""


class Mode(Protocol):
    """A way to run."""

    name: str
    takes_archives: bool
    """Whether files can go in and out as archives, where the place can't see the caller's folders."""
    auths: tuple[str, ...]
    """The ways in which the credential can reach the agent (see `RunSpec.auth`)."""

    async def probe(self) -> Readiness:
        """Say whether the mode is ready; never raise."""

    async def prepare(self, spec: RunSpec, say: Say) -> Image:
        """Find, pull or build the image."""

    def layout(self, folder: RunFolder, workspace: Path, image: Image) -> Layout:
        """Return where the place will see its folders."""

    async def create(self, plan: Plan) -> Place:
        """Make the place, not yet running."""

    async def start(self, place: Place, plan: Plan) -> Place:
        """Start the supervisor, detached from us; return the place with what is known of it now."""

    def read(self, place: Place, folder: RunFolder, name: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a file of the run folder from an offset on, as they come.

        An empty chunk says that all there is was given. The iterator ends when the place is gone.
        """

    async def write(self, place: Place, folder: RunFolder, name: str) -> None:
        """Make an empty file in the run folder, such as `stop`."""

    async def exec(self, place: Place, argv: Sequence[str]) -> Exit:
        """Run a command in the place."""

    def shell(self, place: Place) -> list[str]:
        """Return the command that opens a shell in the place, for a terminal."""

    async def state(self, place: Place) -> PlaceState:
        """Ask the engine."""

    async def files_out(self, place: Place, folder: RunFolder, workspace: Path) -> Mapping[str, str] | None:
        """Bring the workspace and the run folder back, and give what was made to the caller.

        Return what to record of it with the run: of results that the place pushed by itself, `pushed_to`
        and `pushed_commit`, or `push_failed`; of a log of connections that the mode's own proxy keeps,
        `network_unread`, a sentence that says why it isn't known, or not whole.
        """

    async def destroy(self, place: Place) -> None:
        """Remove the place and everything in it; harmless when it is gone."""

    async def places(self, store_id: str) -> list[Place]:
        """Return all places of a store, found by their labels."""
