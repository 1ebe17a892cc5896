"""A `.env` file: read without touching our own environment, and changed in one line only."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ccnb.credentials.token import VARIABLES
from ccnb.errors import EnvFileError
from ccnb.redact import Secret

if TYPE_CHECKING:
    from dotenv.parser import Binding

NAME = ".env"
_BOM = "\ufeff"
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+=@%-]*")
"""What needs no quotes, for a shell either."""


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file; none where there is no such file.

    Raises
    ------
    EnvFileError
        It can't be read, is no text, or has a credential in a line that can't be read.
    """
    try:
        if not path.is_file():
            return {}
    except OSError:
        # Not even the folder can be looked into.
        return {}
    text = _text(path)
    found = values(text)
    for binding in _bindings(text):
        broken = binding.error and any(name in binding.original.string for name in VARIABLES)
        if broken and not found.keys() & set(VARIABLES):
            raise EnvFileError(f"{path}, line {binding.original.line} can't be read; close its quotes")
    return found


def values(text: str) -> dict[str, str]:
    """Return the variables of a file's text, as written: nothing in them is filled in from elsewhere."""
    return {b.key: b.value for b in _bindings(text) if b.key is not None and b.value is not None}


def put(path: Path, name: str, value: Secret) -> bool:
    """Set a variable in a file, whole or not at all, and make the file private to the user.

    Returns
    -------
    bool
        Whether the file's text changed.

    Raises
    ------
    EnvFileError
        It can't be read or written; it is as it was.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    try:
        return _put(path, name, value.reveal())
    # Raised anew, here: a traceback may show variables, and further down they hold tokens.
    except EnvFileError as error:
        raise EnvFileError(error.message) from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise EnvFileError(
            f"{path} can't be written ({why}); change its permissions, or export {name} instead"
        ) from None


def updated(text: str, name: str, value: str) -> str:
    """Return a file's text with a variable set: in the line that has it, else in a new last line.

    Every other line stays as it is, and so does a comment on that line.

    Raises
    ------
    EnvFileError
        The text is such that no line after it would be read as one.
    """
    mark = _BOM if text.startswith(_BOM) else ""
    bindings = _bindings(text)
    pieces = [binding.original.string for binding in bindings]
    # Of several the last one counts, for a shell as for us.
    places = [number for number, binding in enumerate(bindings) if binding.key == name]
    if places:
        pieces[places[-1]] = _set(pieces[places[-1]], name, value)
    else:
        pieces.append(_new_line("".join(pieces), name, value))
    after = mark + "".join(pieces)
    if values(after).get(name) != value:
        raise EnvFileError(f"{name} can't be set in {NAME}: a quote before it isn't closed; close that")
    return after


def is_ignored(path: Path) -> bool | None:
    """Return whether git leaves a file out; `None` where it is in no repository, or there is no git."""
    try:
        done = subprocess.run(
            ["git", "check-ignore", "--quiet", "--", path.name],
            cwd=path.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {0: True, 1: False}.get(done.returncode)


def _put(path: Path, name: str, value: str) -> bool:
    if path.exists() and not path.is_file():
        raise EnvFileError(f"{path} is no file; move it away, or export {name} instead")
    before = _text(path) if path.exists() else ""
    after = updated(before, name, value)
    if after != before:
        _write(path, after)
    elif (mode := path.stat().st_mode) & 0o077:
        path.chmod(mode & 0o700)
    return after != before


def _set(line: str, name: str, value: str) -> str:
    """Return the line of a variable with another value, its `export`, comment and ending as they are."""
    blank, quoted = r"[^\S\r\n]", r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
    match = re.fullmatch(
        rf"(?P<head>\s*(?:export{blank}+)?(?:'{name}'|{name})){blank}*"
        rf"(?:=(?:{blank}*(?:{quoted}|[^\s#][^\r\n]*?)|#[^\r\n]*?)?)?"
        rf"(?P<comment>(?:{blank}+|(?<=['\"]))#[^\r\n]*)?(?P<end>{blank}*(?:\r\n|\n|\r)?)",
        line,
        re.DOTALL,
    )
    if match is None:  # a shape that a later version of the parser knows
        raise EnvFileError(f"the line of {name} in {NAME} can't be changed; take it out, and try again")
    comment = match["comment"] or ""
    # With no blank before it, it would be a part of the value.
    gap = " " if comment.startswith("#") else ""
    return f"{match['head']}={_quoted(value)}{gap}{comment}{match['end']}"


def _new_line(before: str, name: str, value: str) -> str:
    """Return a line to add to a text; where the text's last line has no end, it gets one."""
    newline = "\r\n" if "\r\n" in before else "\n"
    gap = newline if before and not before.endswith(("\n", "\r")) else ""
    return f"{gap}{name}={_quoted(value)}{newline}"


def _bindings(text: str) -> list[Binding]:
    """Return the lines of a file's text with what they say; together they are the text."""
    from dotenv.parser import parse_stream

    return list(parse_stream(io.StringIO(text.removeprefix(_BOM))))


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _text(path: Path) -> str:
    """Return a file's text; bytes that are no UTF-8 survive in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EnvFileError(f"{path} can't be read ({error.strerror}); change its permissions") from None
    if b"\0" in data:
        raise EnvFileError(f"{path} is not in UTF-8; save it as that")
    return data.decode(errors="surrogateescape")


def _write(path: Path, text: str) -> None:
    """Put a text in a file's place, for the user alone."""
    known = path.stat() if path.exists() else None
    if known and not (known.st_mode & stat.S_IWUSR and os.access(path, os.W_OK)):
        # Renaming over it would work, but somebody has said that it stays as it is.
        raise PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)}: it is read-only")
    descriptor, scratch = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode(errors="surrogateescape"))
            stream.flush()
            os.fsync(descriptor)
            if known:
                with suppress(OSError):
                    os.fchown(descriptor, known.st_uid, known.st_gid)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
