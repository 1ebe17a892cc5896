"""The page on what goes wrong has an entry for each error and each outcome."""

from __future__ import annotations

import re

import pytest

from ccnb import errors
from ccnb.results import OUTCOMES
from tests.newcomer import ROOT

ENTRIES = dict(
    re.findall(r"^\| `(\w+)` \| (.+?) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
)
ERRORS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CcnbError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_has_an_entry_with_its_exit_code(kind):
    assert ENTRIES[kind.__name__] == str(kind.exit_code)


def test_it_has_no_entry_for_what_is_not_there():
    assert ENTRIES.keys() == {kind.__name__ for kind in ERRORS} | set(OUTCOMES)
