"""This project beside other tools that do a part of the same, in one run: `make bench-peers`."""
