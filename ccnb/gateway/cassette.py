"""Cassettes: recorded model traffic in one file that can be read, compared and replayed.

A cassette is JSON lines. The first names the format's version. Each part of a request (a block of the
system prompt, a message) has a line, once; each exchange has one after the parts that it names. An exchange
is written in one go, so a file that was cut off has lost its last exchange at most.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccnb.errors import CassetteError
from ccnb.gateway.matching import key_of

VERSION = 1
REQUEST_HEADERS = ("user-agent", "anthropic-version", "anthropic-beta")
"""Headers of a request that are kept; no other is."""
ANSWER_HEADERS = ("content-type", "retry-after")
"""Headers of an answer that are kept; no other is."""

_PARTS = ("system", "messages")


@dataclass(frozen=True)
class Recorded:
    """One exchange: what was asked, as `matching.request_of` has it, and what the API answered."""

    request: Mapping[str, Any]
    headers: Mapping[str, str]
    status: int
    answer_headers: Mapping[str, str]
    answer: Any
    """The message or error as JSON; a text where the API gave no JSON."""
    first_byte_s: float
    duration_s: float


@dataclass(frozen=True)
class Cassette:
    """The exchanges of a cassette, in the order in which they were recorded."""

    path: Path
    variable: str
    """The variable that held the credential: an agent asks otherwise with a token than with an API key."""
    recorded: tuple[Recorded, ...] = ()
    by_key: Mapping[str, list[Recorded]] = field(default_factory=dict)


def split_pace(name: str) -> tuple[Path, bool]:
    """Split `FILE?pace=original` into the file and whether the answers are to take their original time."""
    file, _, query = name.rpartition("?")
    if file and query == "pace=original":
        return Path(file), True
    return Path(name), False


def begin(path: Path, variable: str) -> None:
    """Make a new, empty cassette.

    Raises
    ------
    CassetteError
        Something is there already, or nothing can be written there.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    header = {"ccnb_cassette": VERSION, "recorded_at": at, "variable": variable}
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CassetteError(
            f"there is something at {path} already; replay it with api='replay:{path}', remove it, or record "
            "to another file"
        ) from None
    except OSError as error:
        raise CassetteError(
            f"can't record to {path} ({error.strerror}); name a file in a folder that you can write"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(_line(header))


def check_new(path: Path) -> None:
    """See that a cassette could be made, and make none.

    Raises
    ------
    CassetteError
    """
    begin(path, "")
    path.unlink()


def drop_if_empty(path: Path) -> None:
    """Remove a cassette on which nothing was recorded, so that it is in nobody's way."""
    with contextlib.suppress(OSError):
        if path.read_bytes().count(b"\n") <= 1:
            path.unlink()


class Writer:
    """Adds exchanges to a cassette that was begun; what a dead process left half written is cut off first.

    Raises
    ------
    CassetteError
        It is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            whole = path.read_bytes().rpartition(b"\n")[0]
            os.truncate(path, len(whole) + 1)
        except OSError as error:
            raise CassetteError(f"can't record to {path} ({error.strerror}); start the run again") from None
        self._known = {json.loads(line).get("part") for line in whole.split(b"\n")}

    def add(self, exchange: Recorded) -> None:
        """Write one exchange, with the parts of its request that have no line yet."""
        request = dict(exchange.request)
        lines = []
        for name in _PARTS:
            parts = {_part_id(part): part for part in request[name]}
            lines += [_line({"part": i, "value": p}) for i, p in parts.items() if i not in self._known]
            self._known |= parts.keys()
            request[name] = [_part_id(part) for part in request[name]]
        lines.append(_line({"exchange": {**vars(exchange), "request": request}}))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, b"".join(lines))
        finally:
            os.close(descriptor)


def variable_of(path: Path) -> str:
    """Return the variable that held the credential of a cassette's run.

    Raises
    ------
    CassetteError
    """
    return str(_header(path, _read(path).partition(b"\n")[0])["variable"])


def load(path: Path) -> Cassette:
    """Read a cassette.

    Raises
    ------
    CassetteError
        It is missing, cut off, damaged, of a newer version, empty, or no cassette at all.
    """
    first, *lines = _read(path).split(b"\n")
    header = _header(path, first)
    reader = _Reader(path)
    for number, line in enumerate(lines, start=2):
        # The last line of a whole file ends, so nothing comes after it.
        if line:
            reader.take(number, line, is_last=number == len(lines) + 1)
    reader.finish()
    if not reader.recorded:
        raise CassetteError(f"nothing is recorded on {path}; remove it and record again")
    by_key: dict[str, list[Recorded]] = {}
    for exchange in reader.recorded:
        by_key.setdefault(key_of(exchange.request), []).append(exchange)
    return Cassette(path, str(header["variable"]), tuple(reader.recorded), by_key)


class _Reader:
    """Puts the parts back into the requests that name them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: dict[str, Any] = {}
        self._whole = self._seen = 1
        self.recorded: list[Recorded] = []

    def take(self, number: int, line: bytes, *, is_last: bool) -> None:
        self._seen = number
        try:
            value = json.loads(line)
        except ValueError:
            raise self._cut_off() if is_last else self._damaged(number) from None
        try:
            if "part" in value:
                self._parts[value["part"]] = value["value"]
            else:
                self.recorded.append(self._exchange(**value["exchange"]))
                self._whole = number
        except (KeyError, TypeError):
            raise self._damaged(number) from None

    def finish(self) -> None:
        if self._seen != self._whole:
            raise self._cut_off()

    def _exchange(self, request: Mapping[str, Any], **more: Any) -> Recorded:
        parts = {name: [self._parts[part] for part in request[name]] for name in _PARTS}
        return Recorded(request={**request, **parts}, **more)

    def _damaged(self, number: int) -> CassetteError:
        what = "has no exchange in it that can be read; take it from a copy, or record again"
        return CassetteError(f"cassette {self._path}, line {number} {what}")

    def _cut_off(self) -> CassetteError:
        count = len(self.recorded)
        whole = f"1 to {self._whole}, with {count} exchange{'' if count == 1 else 's'}"
        return CassetteError(
            f"cassette {self._path} is cut off in line {self._seen}; keep only its lines {whole}, "
            "or record again"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CassetteError(f"there is no cassette {path}; record one with api='record:{path}'") from None
    except OSError as error:
        raise CassetteError(f"can't read the cassette {path} ({error.strerror}); check the path") from None


def _header(path: Path, line: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(line)
        version = header["ccnb_cassette"]
    except (ValueError, KeyError, TypeError):
        raise CassetteError(f"{path} is no cassette; name a file that api='record:FILE' made") from None
    if version != VERSION:
        raise CassetteError(
            f"cassette {path} has version {version}, this ccnb knows {VERSION}; upgrade ccnb-toolkit"
        )
    if not isinstance(header.get("variable"), str):
        raise CassetteError(f"cassette {path}, line 1 doesn't name its credential's kind; record again")
    return dict(header)


def _part_id(part: Any) -> str:
    return key_of(part)[:12]


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode() + b"\n"
