"""`python -m tools.docs`: write the documents that are made of the code."""

from __future__ import annotations

from pathlib import Path

from ccnb.frames.columns import markdown

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Write each of them."""
    (DOCS / "frames.md").write_text(markdown())


if __name__ == "__main__":
    main()
