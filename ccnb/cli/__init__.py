"""The `ccnb` command: parse, call, show."""

from __future__ import annotations

import sys

from ccnb.errors import CcnbError

INTERRUPTED = 130


def main() -> None:
    """Run the command and leave with its exit code; what ccnb raises on purpose is one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that can't show a character gets a question mark, not an error.
            stream.reconfigure(errors="replace")
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:

    import typer

    from ccnb.cli.app import app

    # typer carries its own copy of click or uses the installed one, depending on its version.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        return app(arguments, prog_name="ccnb", standalone_mode=False) or 0
    except CcnbError as error:
        from ccnb.cli.output import complain

        return complain(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except usage_error as error:
        from ccnb.cli.output import complain_of_usage

        return complain_of_usage(error)
