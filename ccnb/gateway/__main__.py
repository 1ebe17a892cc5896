"""`python -m ccnb.gateway`: the gateway's process, started by `ccnb.gateway.process`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Part from the client that started us, then serve the store named by CCNB_HOME."""
    home = os.environ.get("CCNB_HOME")
    if not home:
        sys.stderr.write("CCNB_HOME is not set; the gateway is started by ccnb itself\n")
        return 2
    ready_fd = int(os.environ.pop("CCNB_GATEWAY_READY_FD", "-1"))
    if os.fork():
        # At once and without clean-up: whatever is open belongs to the gateway now.
        os._exit(0)
    # Imported after the fork: the client waits for the first process only until here.
    import logging

    from ccnb.errors import CcnbError
    from ccnb.gateway.server import IDLE_S, serve

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    idle_s = float(os.environ.get("CCNB_GATEWAY_IDLE_S", IDLE_S))
    try:
        serve(Path(home), idle_s, ready_fd if ready_fd >= 0 else None)
    except CcnbError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
