"""A `.env` file: one line of it is changed, the rest stays as it is to the byte."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccnb.credentials import env_file
from ccnb.errors import EnvFileError
from ccnb.redact import Secret
from tests.credentials.conftest import verbose_traceback

NAME = "CLAUDE_CODE_OAUTH_TOKEN"
OLD = "sk-ant-oat01-OLD-0123456789abcdef"
NEW = "sk-ant-oat01-NEW-0123456789abcdef"

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != NAME)
plain = st.text(st.characters(codec="utf-8", exclude_characters="\r\n'\"\\#"), max_size=12)
others = st.one_of(
    st.just(""),
    st.just("   "),
    plain.map("# {}".format),
    st.builds("{}={}".format, names, plain),
    st.builds("export {}='{}' # {}".format, names, plain, plain),
    st.builds('{}="{}"'.format, names, plain),
    st.builds('{}="one\\\ntwo"'.format, names),
    st.just(f"# {NAME}=commented-out"),
    st.just(f"NOT_{NAME}=1"),
)
ends = st.sampled_from(["\n", "\r\n"])
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=40)


def file_of(lines, end):
    return "".join(line + end for line in lines)


@given(values, st.text(max_size=60))
@example("it's \\ 'quoted'", "")
@example("x" * 8, f"{NAME}=a\n{NAME}=b")
def test_what_is_written_is_read(value, before):
    try:
        after = env_file.updated(before, NAME, value)
    except EnvFileError:
        # An open quote of theirs and one of ours would make a pair.
        assert {"'", '"'} & set(before)
    else:
        assert env_file.values(after)[NAME] == value


@given(st.lists(others), st.lists(others), ends)
def test_every_other_line_stays_as_it_is(above, below, end):
    before = file_of(above, end) + f"{NAME}=old{end}" + file_of(below, end)
    after = file_of(above, end) + f"{NAME}={NEW}{end}" + file_of(below, end)
    assert env_file.updated(before, NAME, NEW) == after
    assert env_file.updated(after, NAME, NEW) == after


@given(st.lists(others), ends)
def test_a_new_line_comes_last(lines, end):
    before = file_of(lines, end)
    newline = end if end in before else "\n"
    assert env_file.updated(before, NAME, NEW) == before + f"{NAME}={NEW}{newline}"


@given(st.text(max_size=80))
@example("\ufeff")
@example("A='open\nB=1")
def test_of_any_text_nothing_is_lost(text):
    if env_file.values(text).get(NAME) is None and NAME not in text:
        assert env_file.updated(text, NAME, NEW).startswith(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{NAME}=", f"{NAME}={NEW}"),
        (f"{NAME}", f"{NAME}={NEW}"),
        (f"{NAME}=old # mine\n", f"{NAME}={NEW} # mine\n"),
        (f"{NAME}= # mine\r\n", f"{NAME}={NEW} # mine\r\n"),
        (f"{NAME}='old'# mine\n", f"{NAME}={NEW} # mine\n"),
        (f"{NAME}=old#part\n", f"{NAME}={NEW}\n"),
        (f'{NAME}="old # part" # mine\n', f"{NAME}={NEW} # mine\n"),
        (f"  export  {NAME} = 'ol\\'d'\r\nA=1\r\n", f"  export  {NAME}={NEW}\r\nA=1\r\n"),
        (f"\n\n{NAME}=old\n\n", f"\n\n{NAME}={NEW}\n\n"),
        (f"{NAME}=first\nA=1\n{NAME}=last", f"{NAME}=first\nA=1\n{NAME}={NEW}"),
        (f"\ufeff{NAME}=old\n", f"\ufeff{NAME}={NEW}\n"),
        (f'A="\n{NAME}=in a value\n"\n', f'A="\n{NAME}=in a value\n"\n{NAME}={NEW}\n'),
        ("A=1", f"A=1\n{NAME}={NEW}\n"),
        ("A=1\r\nB=2", f"A=1\r\nB=2\r\n{NAME}={NEW}\r\n"),
    ],
)
def test_the_line_keeps_its_export_its_comment_and_its_ending(before, after):
    assert env_file.updated(before, NAME, NEW) == after
    assert env_file.values(after)[NAME] == NEW


def test_a_shell_reads_what_was_written(tmp_path):
    value = "it's $HOME; `id`"
    text = env_file.updated("", NAME, NEW)
    (tmp_path / ".env").write_text(text)
    command = f'set -a; . ./.env; printf %s "${NAME}"'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == NEW
    assert env_file.values(env_file.updated("", NAME, value))[NAME] == value


def put(path, value=NEW):
    return env_file.put(path, NAME, Secret(value))


def test_the_file_is_private_whether_it_was_there_or_not(tmp_path):
    path = tmp_path / ".env"
    assert put(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (f"{NAME}={NEW}\n", 0o600)
    path.write_text("A=1\n")
    path.chmod(0o644)
    assert put(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (f"A=1\n{NAME}={NEW}\n", 0o600)
    path.chmod(0o644)
    assert not put(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]


def test_bytes_that_are_no_utf_8_stay_as_they_are(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(b"# caf\xe9 \xff\r\nA=\xe9\r\n")
    put(path)
    assert path.read_bytes() == b"# caf\xe9 \xff\r\nA=\xe9\r\n" + f"{NAME}={NEW}\r\n".encode()


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("A=1\n")
    (tmp_path / ".env").symlink_to("real")
    put(tmp_path / ".env")
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "real").read_text() == f"A=1\n{NAME}={NEW}\n"


def test_a_reader_never_sees_half_a_file(tmp_path):
    """The old file is whole until the new one is: who has it open reads the old one to its end."""
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    with path.open() as reader:
        put(path)
        assert reader.read() == "A=1\n"


def test_a_file_that_is_read_only_is_left_alone(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o400)
    with pytest.raises(EnvFileError, match=rf"{path} can't be written .*read-only.*; change its permissions"):
        put(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("A=1\n", 0o400)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_to_write_shows_no_token_with_all_its_variables(tmp_path):
    path = tmp_path / ".env"
    path.write_text(f"{NAME}={OLD}\n")
    path.chmod(0o400)
    shown = verbose_traceback(lambda: put(path))
    assert "why = " in shown, "it shows no variables"
    assert OLD not in shown
    assert "value=Secret('[redacted]')" in shown.replace(" ", "")


def test_a_folder_that_takes_no_file_is_said():
    with pytest.raises(
        EnvFileError, match=rf"^/proc/\.env can't be written \(.+\); .* or export {NAME} instead$"
    ):
        put(Path("/proc/.env"))


def as_nobody(function):
    """Call a function in a process of a user who may do little; return what it complains of."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.setgid(65_534)
        os.setuid(65_534)
        try:
            function()
        except EnvFileError as error:
            os.write(write, error.message.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        return said.read()


@pytest.mark.needs("root")
def test_a_folder_that_a_user_may_not_write_in_is_said(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    said = as_nobody(lambda: put(path))
    assert (
        said
        == f"{path} can't be written (Permission denied); change its permissions, or export {NAME} instead"
    )
    assert path.read_text() == "A=1\n"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_left_alone(tmp_path, kind):
    path = tmp_path / ".env"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(EnvFileError, match="is no file; move it away"):
        put(path)
    assert env_file.read(path) == {}


def test_a_file_in_another_encoding_is_left_alone(tmp_path):
    path = tmp_path / ".env"
    data = f"{NAME}=old\r\n".encode("utf-16")
    path.write_bytes(data)
    with pytest.raises(EnvFileError, match="is not in UTF-8"):
        put(path)
    assert path.read_bytes() == data


@pytest.mark.needs("git")
def test_git_is_asked_whether_it_leaves_the_file_out(tmp_path):
    path = tmp_path / ".env"
    assert env_file.is_ignored(path) is None
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert env_file.is_ignored(path) is False
    (tmp_path / ".gitignore").write_text("*\n!.env\n")
    assert env_file.is_ignored(path) is False
    (tmp_path / ".gitignore").write_text(".env*\n")
    assert env_file.is_ignored(path) is True
    path.touch()
    subprocess.run(["git", "add", "-f", ".env"], cwd=tmp_path, check=True)
    assert env_file.is_ignored(path) is False, "it is tracked all the same"
