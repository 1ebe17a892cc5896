"""The real model in a real sandbox, by the credential that Docker's own proxy adds: see docs/sandbox.md."""

from __future__ import annotations

import pytest

import ccnb
from ccnb.spec import TEST_PROMPT

pytestmark = pytest.mark.live


def test_the_real_model_answers_with_the_proxys_credential(home):
    result = ccnb.run(TEST_PROMPT, mode="sandbox", max_turns=10, check="grep -q Hello hello.txt; env")
    assert (result.outcome, result.error) == ("success", None)
    assert result.check.passed
    assert "sk-ant-" not in result.check.output
