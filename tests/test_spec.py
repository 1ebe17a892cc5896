"""A spec is checked when it is made, and written down without its secrets."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccnb.errors import CcnbError, SpecError
from ccnb.redact import Secret
from ccnb.spec import PERMISSION_MODES, RunSpec

words = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\0" not in text)
seconds = st.floats(0.001, 1e6) | st.integers(1, 10**6)
env_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
plain_env = st.dictionaries(env_names, st.text(max_size=10).filter(lambda v: "\0" not in v), max_size=3)


def optional(strategy):
    return st.none() | strategy


specs = st.builds(
    RunSpec,
    prompt=words,
    mode=words,
    model=optional(words),
    workspace=optional(st.sampled_from(["/work/a", "/tmp", "b/c"])),
    api=st.sampled_from(["live", "script:demo", "script:/a/b:c.yaml", "replay:x"]),
    auth=st.sampled_from([None, "env", "gateway"]),
    network=st.sampled_from(["open", "none", ["a.org", "*.b.org:8443"], ("::1", "bücher.example")]),
    setup=optional(words),
    check=optional(words),
    timeout_s=seconds,
    stall_s=seconds,
    max_turns=optional(st.integers(1, 100)),
    budget_usd=optional(seconds),
    budget_tokens=optional(st.integers(1, 10**12)),
    env=plain_env,
    permission_mode=st.sampled_from([None, *PERMISSION_MODES]),
    allowed_tools=st.lists(words, max_size=3),
    extra_args=st.lists(words, max_size=3),
    system_prompt=optional(words),
    resume=st.none() | st.uuids().map(str),
    cpus=optional(seconds),
    memory_mb=optional(st.integers(1, 10**6)),
    keep=st.booleans(),
)


@given(specs)
def test_what_is_written_down_comes_back(spec):
    assert RunSpec.from_dict(spec.to_dict()) == spec
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(specs)
def test_a_spec_pickles(spec):
    assert pickle.loads(pickle.dumps(spec)) == spec


@given(specs)
def test_equal_specs_have_one_fingerprint(spec):
    again = dataclasses.replace(spec, env=dict(reversed(spec.env.items())))
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()
    assert dataclasses.replace(spec, prompt=spec.prompt + "!").fingerprint() != spec.fingerprint()


def test_a_whole_number_of_seconds_asks_for_the_same_as_a_float():
    assert (
        RunSpec(prompt="x", timeout_s=60).fingerprint() == RunSpec(prompt="x", timeout_s=60.0).fingerprint()
    )


def test_a_secret_is_written_down_by_its_name_only():
    spec = RunSpec(prompt="x", env={"TOKEN": Secret("hunter2-hunter2"), "PLAIN": "seen"})
    assert spec.secrets == [Secret("hunter2-hunter2")]
    written = json.dumps(spec.to_dict()) + repr(spec) + str(spec) + spec.fingerprint()
    assert "hunter2" not in written
    assert b"hunter2" not in pickle.dumps(spec)
    back = RunSpec.from_dict(spec.to_dict())
    assert back.env["PLAIN"] == "seen"
    assert back.env["TOKEN"].is_withheld
    assert back.to_dict() == spec.to_dict()
    assert back.fingerprint() == spec.fingerprint()


def test_what_an_older_version_wrote_still_loads():
    assert RunSpec.from_dict({"prompt": "x"}) == RunSpec(prompt="x")
    assert RunSpec.from_dict({"version": 0, "prompt": "x", "no_longer_known": [1]}) == RunSpec(prompt="x")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", None),
        ("mode", ""),
        ("model", " "),
        ("model", 3),
        ("workspace", ""),
        ("workspace", "~no-such-user-here/x"),
        ("workspace", 3),
        ("api", "live:x"),
        ("api", "script"),
        ("api", "script:"),
        ("api", "cassette:x"),
        ("api", None),
        ("auth", "keychain"),
        ("network", "closed"),
        ("network", []),
        ("network", ["https://example.org"]),
        ("network", None),
        ("isolation", "all"),
        ("permission_mode", "bypass"),
        ("setup", ""),
        ("check", " "),
        ("timeout_s", 0),
        ("timeout_s", -1),
        ("timeout_s", None),
        ("timeout_s", math.inf),
        ("timeout_s", math.nan),
        ("timeout_s", True),
        ("timeout_s", "60"),
        ("stall_s", None),
        ("keep_s", 0),
        ("max_turns", 0),
        ("max_turns", 1.5),
        ("max_processes", None),
        ("memory_mb", True),
        ("budget_usd", 0),
        ("budget_tokens", 0),
        ("budget_tokens", 1.5),
        ("cpus", math.inf),
        ("env", {"1A": "x"}),
        ("env", {"A B": "x"}),
        ("env", {"": "x"}),
        ("env", {"A=": "x"}),
        ("env", {"A": 1}),
        ("env", {"A": "a\0b"}),
        ("allowed_tools", [""]),
        ("extra_args", [1]),
        ("resume", "the last one"),
        ("resume", 5),
        ("copy", True),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_fields_name(field, value):
    with pytest.raises(SpecError, match=field) as caught:
        RunSpec(**{"prompt": "x", field: value})
    assert isinstance(caught.value, CcnbError)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sandbox": "Tools"}, "sandbox must be a name of up to 18 small letters, digits and -, not 'Tools'"),
        ({"sandbox": "a" * 19}, "up to 18"),
        ({"sandbox": 3}, "not 3"),
        ({"mode": "docker"}, "is for mode sandbox, not docker; leave one out"),
        ({"workspace": None}, "belongs to one folder"),
        ({"workspace": "https://example.org/a.git"}, "belongs to one folder"),
        ({"copy": True}, "belongs to one folder"),
        ({"network": "none"}, "leave network or sandbox out"),
        ({"keep": True}, "leave keep out"),
    ],
)
def test_what_a_lasting_sandbox_can_not_be_asked_for_is_refused(options, sentence):
    usual = {"prompt": "x", "sandbox": "tools", "workspace": "/work"}
    assert RunSpec(**usual).sandbox == "tools"
    with pytest.raises(SpecError, match=sentence):
        RunSpec(**usual | options)


def test_a_misspelled_word_is_answered_with_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'bypassPermissions'"):
        RunSpec(prompt="x", permission_mode="bypassPermission")
    with pytest.raises(SpecError, match="did you mean 'timeout_s'"):
        RunSpec.make("x", {"timeout": 5})
    with pytest.raises(SpecError, match="help"):
        RunSpec.make("x", {"zzzzzzz": 5})


def test_a_workspace_is_meant_from_where_it_was_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    spec = RunSpec(prompt="x", workspace="a/b")
    monkeypatch.chdir("/")
    assert spec.workspace == str(tmp_path / "a" / "b")
    assert RunSpec(prompt="x", workspace=Path("/a/b")).workspace == "/a/b"
    assert RunSpec(prompt="x", workspace="~/c").workspace == "/home/somebody/c"


def test_one_tool_needs_no_list():
    assert RunSpec(prompt="x", allowed_tools="Bash(git diff:*)").allowed_tools == ("Bash(git diff:*)",)


def test_a_spec_is_not_changed_through_the_dict_it_was_made_of():
    env = {"A": "1"}
    spec = RunSpec(prompt="x", env=env)
    env["A"] = "2"
    assert spec.env == {"A": "1"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.prompt = "y"


def test_the_source_of_answers_is_the_word_before_the_colon():
    assert RunSpec(prompt="x").api_source == "live"
    assert RunSpec(prompt="x", api="script:a:b.yaml").api_source == "script"


def test_lists_of_the_same_hosts_are_one_spec():
    one = RunSpec(prompt="x", network=["B.org.", "a.org:443", "c.org:8443"])
    other = RunSpec(prompt="x", network=("c.org:8443", "a.org", "b.org", "b.org"))
    assert one == other
    assert one.fingerprint() == other.fingerprint()
    assert one.hosts == ("a.org", "b.org", "c.org:8443")
    assert RunSpec(prompt="x", network="a.org").hosts == ("a.org",)
    assert RunSpec(prompt="x", network="none").hosts == ()


def test_no_environment_at_all_is_an_empty_one():
    assert RunSpec(prompt="x", env=None).env == {}


@pytest.mark.parametrize("more", [{"model": "a\0b"}, {"check": "a\0b"}, {"extra_args": ["--x", "a\0b"]}])
def test_a_nul_byte_which_no_command_can_take_is_refused(more):
    with pytest.raises(SpecError, match="holds a NUL byte"):
        RunSpec(prompt="x", **more)


@pytest.mark.parametrize("url", ["https://host/repo.git#main", "git@host:team/repo", "file:///srv/repo"])
def test_a_git_url_stays_as_it_is(url):
    assert RunSpec(prompt="p", workspace=url).workspace == url


def test_a_url_with_a_password_is_refused_and_so_is_a_copy_of_one():
    for url in ("https://me:secret@host/repo", "https://token@host/repo"):
        with pytest.raises(SpecError, match="holds a password"):
            RunSpec(prompt="p", workspace=url)
    with pytest.raises(SpecError, match="leave copy out"):
        RunSpec(prompt="p", workspace="https://host/repo", copy=True)
