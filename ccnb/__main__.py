"""`python -m ccnb` is the `ccnb` command."""

import sys

from ccnb.cli import main

if __name__ == "__main__":
    sys.exit(main())
