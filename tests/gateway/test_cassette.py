"""Cassettes are read as they were written, and what can't be read is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.errors import CassetteError
from ccnb.gateway import cassette
from ccnb.gateway.cassette import Recorded, Writer, begin, load

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def exchange(*said: str, **change: Any) -> Recorded:
    talk = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in said]
    request = {"model": "m", "system": [{"type": "text", "text": "Be."}], "tools": ["Bash"], "messages": talk}
    known: dict[str, Any] = {
        "request": request,
        "headers": {"user-agent": "claude-cli/2"},
        "status": 200,
        "answer_headers": {"content-type": "application/json"},
        "answer": {"content": [{"type": "text", "text": "Hi"}]},
        "first_byte_s": 0.1,
        "duration_s": 0.2,
    }
    return Recorded(**{**known, **change})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tape.jsonl"


def record(path: Path, *exchanges: Recorded) -> Path:
    begin(path, "ANTHROPIC_API_KEY")
    writer = Writer(path)
    for one in exchanges:
        writer.add(one)
    return path


@given(st.lists(st.lists(texts, max_size=4), min_size=1, max_size=5), texts)
def test_what_is_written_is_read(tmp_path_factory: Any, talks: list[list[str]], answer: str) -> None:
    exchanges = [exchange(*talk, answer=answer) for talk in talks]
    read = load(record(tmp_path_factory.mktemp("t") / "tape", *exchanges))
    assert read.recorded == tuple(exchanges)
    assert read.variable == "ANTHROPIC_API_KEY"


def test_a_part_that_comes_again_is_written_once(path: Path) -> None:
    record(path, exchange("a"), exchange("a", "b"), exchange("a", "b", "c"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == [
        "ccnb_cassette",
        *("part", "part", "exchange"),
        *("part", "exchange"),
        *("part", "exchange"),
    ]


def test_the_same_request_is_found_in_the_order_of_its_answers(path: Path) -> None:
    read = load(record(path, exchange("a", status=529), exchange("b"), exchange("a", status=200)))
    assert sorted(len(takes) for takes in read.by_key.values()) == [1, 2]
    twice = next(takes for takes in read.by_key.values() if len(takes) == 2)
    assert [take.status for take in twice] == [529, 200]


def test_a_file_that_is_cut_off_anywhere_is_named_and_loses_its_last_exchange_at_most(path: Path) -> None:
    record(path, exchange("a"), exchange("a", "b"), exchange("a", "b", "c"))
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    is_exchange = [line.startswith(b'{"exchange"') for line in lines]
    for size in range(len(lines[0]), len(content)):
        path.write_bytes(content[:size])
        begun = content[:size].count(b"\n")
        missing = len(lines[begun]) - (size - sum(map(len, lines[:begun])))
        # Without its newline alone, or right behind another, a line is whole.
        ended = begun + (missing == 1)
        if ended == 1:
            with pytest.raises(CassetteError, match=r"nothing is recorded|cut off in line 2"):
                load(path)
        elif missing in (1, len(lines[begun])) and is_exchange[ended - 1]:
            assert len(load(path).recorded) == sum(is_exchange[:ended])
        else:
            whole = sum(is_exchange[:begun])
            with pytest.raises(
                CassetteError, match=rf"cut off in line \d+; keep only.*with {whole} exchange"
            ):
                load(path)


def test_following_the_advice_brings_the_rest_back(path: Path) -> None:
    record(path, exchange("a"), exchange("a", "b"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CassetteError, match=r"keep only its lines 1 to 4, with 1 exchange,"):
        load(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert load(path).recorded == (exchange("a"),)


def test_a_recording_that_was_cut_off_goes_on_whole(path: Path) -> None:
    record(path, exchange("a"))
    with path.open("ab") as file:
        file.write(b'{"part": "x", "val')
    Writer(path).add(exchange("a", "b"))
    assert load(path).recorded == (exchange("a"), exchange("a", "b"))


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "x", '{"exchange": {}}', '{"exchange": {"request": {"system": ["nowhere"]}}}', "null"],
)
def test_a_damaged_line_is_named(path: Path, line: str) -> None:
    record(path, exchange("a"))
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first, line, *rest]) + "\n")
    with pytest.raises(CassetteError, match=r"tape\.jsonl, line 2"):
        load(path)


def test_a_cassette_is_never_begun_over_something(path: Path) -> None:
    record(path, exchange("a"))
    before = path.read_bytes()
    with pytest.raises(CassetteError, match="already"):
        begin(path, "ANTHROPIC_API_KEY")
    assert path.read_bytes() == before


def test_only_an_empty_one_is_dropped(path: Path, tmp_path: Path) -> None:
    begin(path, "ANTHROPIC_API_KEY")
    cassette.drop_if_empty(path)
    assert not path.exists()
    cassette.drop_if_empty(path)
    cassette.drop_if_empty(record(path, exchange("a")))
    assert path.exists()
    cassette.check_new(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("/a/b.jsonl", ("/a/b.jsonl", False)),
        ("/a/b.jsonl?pace=original", ("/a/b.jsonl", True)),
        ("/a/b?c", ("/a/b?c", False)),
        ("/a/b?pace=fast", ("/a/b?pace=fast", False)),
    ],
)
def test_the_pace_is_asked_for_after_the_files_name(name: str, split: tuple[str, bool]) -> None:
    assert cassette.split_pace(name) == (Path(split[0]), split[1])
