"""The agent: what a spec means to the `claude` program.

Options as in `claude --help` of 2.1.330, `--max-turns` being hidden there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ccnb.spec import RunSpec

_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""First bytes of a Linux and of a macOS program."""

BYPASS = "bypassPermissions"

QUIET: Mapping[str, str] = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
"""Nothing in a run but the task itself: no update, no telemetry."""


def argv(spec: RunSpec, permission_mode: str) -> list[str]:
    """Return the agent's command. The prompt is not in it: it comes by standard input, at any length."""
    command = ["claude", "-p", "--output-format=stream-json", "--verbose"]
    if permission_mode == BYPASS:
        command.append("--dangerously-skip-permissions")
    else:
        command.append(f"--permission-mode={permission_mode}")
    options = {
        "--model": spec.model,
        "--max-turns": spec.max_turns,
        "--max-budget-usd": spec.budget_usd,
        "--allowedTools": ",".join(spec.allowed_tools) or None,
        "--disallowedTools": ",".join(spec.disallowed_tools) or None,
        "--system-prompt": spec.system_prompt,
        "--append-system-prompt": spec.append_system_prompt,
        "--resume": spec.resume,
    }
    # One word for option and value: a value may begin with a dash.
    command += [f"{name}={value}" for name, value in options.items() if value is not None]
    return [*command, *spec.extra_args]


def find_program() -> Path | None:
    """Return the `claude` of this machine: the one on PATH, else the one in the `claude-agent-sdk` wheel.

    A Node script (an older npm package) is passed over: it can't be mounted in a place by itself.
    """
    on_path = shutil.which("claude")
    candidates = [Path(on_path).resolve()] if on_path else []
    # find_spec does not import the package.
    sdk = importlib.util.find_spec("claude_agent_sdk")
    if sdk is not None and sdk.origin:
        candidates.append(Path(sdk.origin).parent / "_bundled" / "claude")
    return next((path for path in candidates if _is_program(path)), None)


def stamp(program: Path) -> str:
    """Return by what a program is known again: an update changes its size or its time."""
    status = program.stat()
    return f"{status.st_size} bytes of {datetime.fromtimestamp(status.st_mtime, UTC).isoformat()}"


def _is_program(path: Path) -> bool:
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        head = file.readline(128)
    return head[:4] in _MAGIC or (head.startswith(b"#!") and b"node" not in head)
