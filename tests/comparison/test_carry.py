"""A comparison in one file, given to somebody else."""

from __future__ import annotations

import gzip

import pytest

import ccnb
from ccnb.redact import Secret
from tests.comparison.client import VARIANTS, compare

VALUE = "hunter2-hunter2"


def assert_same(one, other):
    # The removal of a place goes on behind its result: how long it took is known a moment later.
    # A start is kept to the microsecond, while the store it comes from has it finer.
    apart = ("cleanup_s", "started_at")
    assert [c for c in one.columns if c not in apart and not one[c].equals(other[c])] == []


@pytest.mark.needs("bubblewrap")
def test_a_colleague_has_the_whole_without_secrets(obedient, tmp_path, monkeypatch):
    agent = {"AGENT": 'init; say "$KEY"; echo "$KEY" > leaked; result', "KEY": Secret(VALUE)}
    variants = VARIANTS | {"leaky": {"env": agent}}
    given = compare("given", repeats=1, variants=variants)
    file = given.export(tmp_path / "given.ccnb")
    assert VALUE not in gzip.decompress(file.read_bytes()).decode()
    monkeypatch.setenv("CCNB_HOME", str(tmp_path / "colleague"))
    loaded = ccnb.Comparison.load(file)
    assert loaded.text == given.text
    assert_same(loaded.frame, given.frame)
    assert [len(result.events) for result in loaded.results()] == [3, 3, 3]
    assert_same(ccnb.Comparison.load(file).frame, given.frame)
    assert loaded.write_lock().read_text() == given.lock_file.read_text()


def test_what_is_no_comparison_is_told(home, tmp_path):
    (tmp_path / "x").write_text("x")
    for name in ("x", "none"):
        with pytest.raises(ccnb.CcnbError, match="is no exported comparison"):
            ccnb.Comparison.load(tmp_path / name)
