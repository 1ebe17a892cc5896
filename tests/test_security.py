"""The page on security names a test for each row that is closed, and a reason for each that is not."""

from __future__ import annotations

import ast
import re

from tests.newcomer import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| It could")]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def test_every_test_that_it_names_is_there():
    missing = []
    for file, name in NAMED.findall(PAGE):
        scope: list[ast.stmt] = ast.parse((ROOT / file).read_text()).body
        for part in name.split("::"):
            found = [node for node in scope if getattr(node, "name", None) == part]
            scope = found[0].body if found else []  # type: ignore[attr-defined] - only what has a name is found
        if not scope:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_row_names_a_test_or_says_that_it_is_not_closed():
    silent = [row for row in ROWS if not NAMED.search(row) and "**not closed**" not in row]
    assert [row for row in silent if not row.startswith("| They could")] == []


def test_what_is_not_closed_says_why():
    assert [row for row in ROWS if "**not closed**" in row and "because" not in row.lower()] == []
