"""`python -m ccnb` is the `ccnb` command."""

from ccnb.cli import main

if __name__ == "__main__":
    main()
