"""A shell in a machine, a line at a time, without flyctl: `python -m ccnb.fly.shell APP MACHINE URL`."""

from __future__ import annotations

import asyncio
import sys

from ccnb.errors import CcnbError
from ccnb.fly.client import Client
from ccnb.fly.settings import Settings

_HELLO = "Each line is a command of its own, for less than a minute; `cd` is kept. `exit` or Ctrl-D leaves."
_MARK = "ccnb-folder:"
_SCRIPT = f'cd "$0" && eval "$1"; code=$?; printf "\\n{_MARK}%s" "$PWD"; exit "$code"'
_AS_AGENT = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs")


async def main(app: str, machine: str, url: str) -> int:
    """Read lines and run them until the input ends."""
    client = Client(Settings.find(app=app, machines_url=url).needed())
    folder = "/workspace"
    print(_HELLO, file=sys.stderr)
    while True:
        try:
            line = await asyncio.to_thread(input, f"{machine}:{folder}$ ")
            argv = [*_AS_AGENT, "sh", "-c", _SCRIPT, folder, line]
            done = await client.exec(machine, argv, once=True)
        except EOFError:
            return 0
        except CcnbError as error:
            print(error.message, file=sys.stderr)
            continue
        said, mark, where = done.stdout.rpartition(f"\n{_MARK}")
        print(((said if mark else where) + done.stderr).rstrip("\n"))
        if not mark:
            # The line left its shell by itself, before the mark.
            return done.code
        folder = where


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:4])))
