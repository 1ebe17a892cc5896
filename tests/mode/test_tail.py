"""What a look at the files of a far place brings: whole, or not at all."""

from __future__ import annotations

import base64
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccnb.errors import OutOfReachError
from ccnb.mode._machine import script
from ccnb.mode._tail import _contents


def look(folder, *words):
    """Run the script that runs in machines, on a folder of this machine's."""
    command = script("look.sh", *words)
    command[2] = command[2].replace("cd /ccnb", f"cd {folder}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("size", [0, 1, 300_000, 300_001, 5_000_000])
@pytest.mark.parametrize("kind", ["random", "text"])
def test_looks_one_after_the_other_bring_every_byte_once(tmp_path, size, kind):
    content = os.urandom(size) if kind == "random" else (b"0123456789\n" * (size // 11 + 1))[:size]
    (tmp_path / "out").write_bytes(content)
    got = b""
    while chunk := _contents(said := look(tmp_path, "out", len(got)), 1)[0]:
        assert len(said) < 600_000
        got += chunk
    assert got == content


def test_what_is_no_file_has_nothing_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "out").write_bytes(b"new")
    words = ("pipe", 0, "link", 0, "missing", 0, "out", 0, "out", 9)
    assert _contents(look(tmp_path, *words), 5) == [b"", b"", b"", b"new", b""]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_answer_that_was_cut_or_changed_is_never_taken(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("look")
    (folder / "out").write_bytes(b"some lines\n" * 50)
    said = look(folder, "out", 0)
    place = data.draw(st.integers(0, len(said) - 2))
    cut = said[:place]
    if cut:
        with pytest.raises(OutOfReachError):
            _contents(cut, 1)
    raw = bytearray(base64.b64decode(said.split()[1]))
    # The header has bytes that mean nothing; all others are checked.
    at = data.draw(st.integers(10, len(raw) - 1))
    raw[at] ^= 1
    with pytest.raises(OutOfReachError):
        _contents(f"550 {base64.b64encode(raw).decode()}", 1)
