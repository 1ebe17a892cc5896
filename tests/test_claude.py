"""A spec becomes the command of the `claude` program."""

from __future__ import annotations

import subprocess

import pytest

from ccnb import claude
from ccnb.spec import RunSpec

PROMPT = "--dangerous prompt; with $everything"


def argv(permission_mode="acceptEdits", **options):
    return claude.argv(RunSpec(prompt=PROMPT, **options), permission_mode)


def test_it_is_headless_and_streams_what_it_does():
    assert argv()[:4] == ["claude", "-p", "--output-format=stream-json", "--verbose"]


def test_the_prompt_is_never_in_it():
    assert not [word for word in argv(system_prompt="s", check="c", setup="x") if PROMPT in word]


def test_neither_are_variables():
    assert not [word for word in argv(env={"A": "value-of-a"}) if "value-of-a" in word]


def test_permissions_are_skipped_or_named():
    assert "--dangerously-skip-permissions" in argv("bypassPermissions")
    assert not [word for word in argv("bypassPermissions") if "--permission-mode" in word]
    assert "--permission-mode=plan" in argv("plan")
    assert "--dangerously-skip-permissions" not in argv("plan")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"model": "-odd"}, "--model=-odd"),
        ({"max_turns": 3}, "--max-turns=3"),
        ({"budget_usd": 0.5}, "--max-budget-usd=0.5"),
        ({"allowed_tools": ["Bash(git diff:*)", "Edit"]}, "--allowedTools=Bash(git diff:*),Edit"),
        ({"disallowed_tools": ["WebFetch"]}, "--disallowedTools=WebFetch"),
        ({"system_prompt": "-- be\nbrief"}, "--system-prompt=-- be\nbrief"),
        ({"append_system_prompt": "-x"}, "--append-system-prompt=-x"),
        (
            {"resume": "6f1c2a52-7b0a-4a49-9b0e-3d5d1f0c7a11"},
            "--resume=6f1c2a52-7b0a-4a49-9b0e-3d5d1f0c7a11",
        ),
    ],
)
def test_each_option_is_one_word_with_its_value(options, word):
    assert word in argv(**options)
    name = word.partition("=")[0]
    assert not [other for other in argv() if other.startswith(name)]


def test_more_arguments_come_last_and_as_they_are():
    assert argv(extra_args=["--effort", "low"])[-2:] == ["--effort", "low"]


def test_a_program_on_path_is_found_before_the_one_in_the_wheel(tmp_path, monkeypatch):
    program = tmp_path / "real" / "claude"
    program.parent.mkdir()
    program.write_bytes(b"\x7fELF and the rest")
    program.chmod(0o755)
    (tmp_path / "claude").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert claude.find_program() == program.resolve()


@pytest.mark.parametrize(
    ("content", "mode"), [(b"#!/usr/bin/env node\n", 0o755), (b"", 0o755), (b"\x7fELF", 0o644)]
)
def test_a_node_script_or_what_cannot_run_is_passed_over(tmp_path, monkeypatch, content, mode):
    program = tmp_path / "claude"
    program.write_bytes(content)
    program.chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert claude.find_program() != program


def test_the_real_program_takes_the_whole_command():
    program = claude.find_program()
    if program is None:
        pytest.skip("the claude program is not installed")
    command = argv(
        "bypassPermissions", model="m", max_turns=1, budget_usd=1, allowed_tools=["Edit"], system_prompt="-s"
    )
    # An invalid session id is looked at after all options: nothing else was wrong.
    done = subprocess.run(
        [program, *command[1:], "--session-id=nope"],
        input=b"x",
        capture_output=True,
        env={"HOME": "/nonexistent", "IS_SANDBOX": "1", "PATH": "/usr/bin:/bin"},
        timeout=60,
        check=False,
    )
    assert b"Invalid session ID" in done.stderr
    assert b"unknown option" not in done.stderr
