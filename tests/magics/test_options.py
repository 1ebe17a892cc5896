"""The line of a magic: options first, the prompt after them as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from ccnb.magics.options import cc_parser, split_prompt, words_of
from ccnb.magics.request import expand

PARSER = cc_parser("%cc")
OPTIONS = ["--mode docker", "-m local", "--copy", "-q", "--check 'a b c'", '--check "it\'s"', "--mode=podman"]


@given(
    st.lists(st.sampled_from(OPTIONS), max_size=3),
    st.text().filter(lambda text: text.strip() and not text.strip().startswith("-")),
)
def test_whatever_follows_the_options_is_the_prompt(options, prompt):
    words, rest = split_prompt(" ".join([*options, prompt]), PARSER)
    assert rest == prompt.strip()
    assert words == words_of(" ".join(options))


@given(st.text())
def test_after_two_dashes_all_is_the_prompt(prompt):
    assert split_prompt(f"--copy -- {prompt}", PARSER) == (["--copy"], prompt.strip())


@pytest.mark.parametrize(
    ("line", "mode", "check"),
    [
        ("--mode docker --check 'pytest -q'", "docker", "pytest -q"),
        ("-m docker --check=true", "docker", "true"),
        ("--check '' -m local", "local", ""),
        ("-mlocal", "local", None),
        ("", None, None),
    ],
)
def test_options_are_read_as_a_shell_would(line, mode, check):
    values = PARSER.parse(words_of(line))
    assert (values.mode, values.check) == (mode, check)


def test_an_option_has_no_short_form_that_it_was_not_given():
    with pytest.raises(UsageError, match=r"unknown option '--mod'; did you mean '--mode'\?"):
        PARSER.parse(["--mod", "docker"])


@given(st.text(st.characters(exclude_characters="{}")))
def test_text_without_braces_is_not_changed(text):
    assert expand(text, {"x": 1}) == text


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("{x}{y}", "1two"),
        ("{{x}}", "{1}"),
        ('{"json": {x}}', '{"json": 1}'),
        ("{x.y} {} {0} {x!r} ${HOME}", "{x.y} {} {0} {x!r} $home"),
    ],
)
def test_only_a_variables_name_in_braces_is_put_in(text, expanded):
    assert expand(text, {"x": 1, "y": "two", "HOME": "home"}) == expanded
