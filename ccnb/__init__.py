"""Run Claude Code in isolated places, follow it live, keep what it did, and compare.

>>> import ccnb
>>> result = ccnb.run("Write a haiku to haiku.txt", api="script:demo")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccnb import frames as frames
    from ccnb import plots as plots
    from ccnb import reports as reports
    from ccnb import stats as stats
    from ccnb.comparison.api import acompare, compare
    from ccnb.comparison.result import Comparison
    from ccnb.errors import CcnbError
    from ccnb.events import Event
    from ccnb.redact import Secret
    from ccnb.results import RunRecord
    from ccnb.runner.api import arun, attach, run, runs, start
    from ccnb.runner.handles import Run, RunResult
    from ccnb.runner.ready import readiness as modes
    from ccnb.runner.sweep import sweep
    from ccnb.runner.token import TokenInfo, token
    from ccnb.spec import RunSpec
    from ccnb.widgets.panel import panel

__all__ = [
    "CcnbError",
    "Comparison",
    "Event",
    "Run",
    "RunRecord",
    "RunResult",
    "RunSpec",
    "Secret",
    "TokenInfo",
    "acompare",
    "arun",
    "attach",
    "compare",
    "modes",
    "panel",
    "run",
    "runs",
    "start",
    "sweep",
    "token",
]

__version__ = "0.1.0"

_WHERE = {
    "CcnbError": "errors",
    "Comparison": "comparison.result",
    "Event": "events",
    "Run": "runner.handles",
    "RunRecord": "results",
    "RunResult": "runner.handles",
    "RunSpec": "spec",
    "Secret": "redact",
    "TokenInfo": "runner.token",
    "acompare": "comparison.api",
    "arun": "runner.api",
    "attach": "runner.api",
    "compare": "comparison.api",
    "modes": "runner.ready:readiness",
    "panel": "widgets.panel",
    "run": "runner.api",
    "runs": "runner.api",
    "start": "runner.api",
    "sweep": "runner.sweep",
    "token": "runner.token",
}
"""Names are imported when first used: `import ccnb` alone stays fast and does nothing."""


_MODULES = ("frames", "plots", "reports", "stats")
"""Parts that are used by their own name, `ccnb.frames.runs_frame`; they too are imported when first used."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"ccnb.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'ccnb' has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    value = getattr(import_module(f"ccnb.{module}"), attribute or name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Give `%%cc` and its kin to a shell (`%load_ext ccnb`)."""
    import_module("ccnb.magics").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take them away again (`%unload_ext ccnb`)."""
    import_module("ccnb.magics").unload(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
