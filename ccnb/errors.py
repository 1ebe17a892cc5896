"""What can go wrong, by cause.

Every message is one sentence that says what happened, with the value, and ends with the next action.
An agent that fails is data (`RunResult.is_error`), not one of these, until `raise_for_error` is called.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from contextlib import ContextDecorator
from types import TracebackType


class CcnbError(Exception):
    """Base of all errors that ccnb raises on purpose; the message is its only argument, so it pickles."""

    exit_code = 1

    @property
    def message(self) -> str:
        """Return the sentence that is shown to the person."""
        return str(self)


class SpecError(CcnbError, ValueError):
    """A value of a run's spec can't be used."""

    exit_code = 2


class ScriptError(CcnbError, ValueError):
    """A script for the scripted model has a mistake; the message names its file and line."""

    exit_code = 2


class CassetteError(CcnbError, ValueError):
    """A cassette can't be replayed, or not be recorded there; the message names the file."""

    exit_code = 2


class ModeUnavailableError(CcnbError):
    """The mode isn't ready on this machine."""

    exit_code = 3


class EngineError(ModeUnavailableError):
    """The container engine refused, failed, or went away."""


class OutOfReachError(EngineError):
    """Nothing answers for a place far away, which goes on by itself: whoever attaches later finds it."""


class ImageError(CcnbError):
    """The image is missing, can't be built, or can't be used."""

    exit_code = 3


class CredentialError(CcnbError):
    """No credential was found, or the one found can't be used."""

    exit_code = 4


class EnvFileError(CcnbError):
    """A `.env` file can't be read or written; it is as it was."""

    exit_code = 3


class StartError(CcnbError):
    """The place was made but the agent could not be started in it."""

    exit_code = 3


class NotSharedError(StartError):
    """The engine can't see the caller's folders; the runner then sends archives instead of mounting."""


class PlaceLostError(CcnbError):
    """The place vanished, or can't be reached any more."""

    exit_code = 5


class GatewayError(CcnbError):
    """The gateway could not be started or reached."""

    exit_code = 3


class StoreError(CcnbError):
    """The store can't be read or written."""

    exit_code = 3


class RunNotFoundError(StoreError, LookupError):
    """No run of that id is in the store."""

    exit_code = 2


class RunBusyError(StoreError):
    """Another living process follows the run."""


class ComparisonError(CcnbError):
    """A comparison can't go on as it was asked for, or isn't there."""

    exit_code = 2


class AgentError(CcnbError):
    """The run ended badly: raised by `RunResult.raise_for_error` only."""


class WithoutInnerFrames(ContextDecorator):
    """Lets an error that is raised on purpose begin where it leaves us: its sentence says all.

    The frames on its way have secrets among their locals, which a verbose traceback would print, and a
    notebook would keep. (A context manager made of a generator would put the frames back.)
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the error begin here."""
        if isinstance(error, CcnbError):
            raise error.with_traceback(None) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
