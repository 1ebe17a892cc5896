"""What stands below a command's help."""

from __future__ import annotations

_EXIT_CODES = (
    "Exit codes: 0 success, 1 the agent or its check failed, 2 bad input, 3 mode, engine or image not "
    "available, 4 credential, 5 the place was lost, 130 interrupted."
)


def examples(*lines: str) -> str:
    """Return the text below a command's help: rich sets a paragraph on a line of its own."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines), _EXIT_CODES])
