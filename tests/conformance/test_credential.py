"""The credential in a place: one, whatever the image says; and what a run says of it."""

from __future__ import annotations

import io
import tarfile

import pytest

import ccnb
from ccnb.engine import connect
from tests.conformance.test_modes import run_until_clean
from tests.conftest import agent_image
from tests.credentials.conftest import LOGIN, login

OAUTH, KEY = "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"
TOKEN = "sk-ant-oat01-TOKEN-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - a dummy
SHOW = "init; env | grep -E '^(ANTHROPIC|CLAUDE_CODE)_' | sed 's/=sk-ant-oat01-TOKEN.*/=mine/' >env; result"
IMAGE = "localhost/ccnb-test-image-with-credentials:1"


def seen_in_the_place(result):
    lines = (result.workspace / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def live(monkeypatch, agent):
    """Return options of a run that would ask the real model, with an agent that doesn't."""

    def options(mode, commands):
        monkeypatch.setenv(OAUTH, TOKEN)
        return agent(mode, commands) | {"api": "live"}

    return options


def test_exactly_one_reaches_the_place(monkeypatch, home, places, mode, live):
    monkeypatch.setenv(KEY, "sk-ant-api03-KEY-0123456789abcdefghij")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another-token")
    result = run_until_clean(places, auth="env", **live(mode, SHOW))
    assert result.outcome == "success"
    seen = seen_in_the_place(result)
    assert {name: seen[name] for name in (OAUTH, KEY, "ANTHROPIC_AUTH_TOKEN")} == {
        OAUTH: "mine",
        KEY: "",
        "ANTHROPIC_AUTH_TOKEN": "",
    }
    (warning,) = [w for w in result.warnings if "set too" in w]
    assert warning.startswith(
        f"{KEY} and ANTHROPIC_AUTH_TOKEN are set too, but only the setup-token in {OAUTH}"
    )


def test_what_an_image_sets_beside_it_has_no_say(home, places, engine_mode, live):
    options = live(engine_mode, SHOW) | {"image": image_with_credentials(engine_mode)}
    result = run_until_clean(places, **options)
    assert result.outcome == "success"
    seen = seen_in_the_place(result)
    assert seen.pop(OAUTH) == "mine"
    assert seen.pop("ANTHROPIC_BASE_URL") == "https://api.anthropic.com"
    assert {name: value for name, value in seen.items() if value and "DISABLE" not in name} == {}


def image_with_credentials(kind):
    """Make an image that names other credentials and another API."""
    recipe = (
        f"FROM {agent_image(kind)}\n"
        "ENV ANTHROPIC_API_KEY=of-the-image ANTHROPIC_AUTH_TOKEN=of-the-image CLAUDE_CODE_USE_BEDROCK=1 "
        "CLAUDE_CODE_OAUTH_TOKEN=of-the-image ANTHROPIC_BASE_URL=http://of-the-image\n"
    ).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        archive.addfile(entry, io.BytesIO(recipe))
    buffer.seek(0)
    steps = connect(kind).api.build(fileobj=buffer, custom_context=True, tag=IMAGE, rm=True, decode=True)
    assert not [step for step in steps if "error" in step]
    return IMAGE


@pytest.mark.needs("bubblewrap")
def test_a_token_that_may_expire_is_said_before_the_run_and_with_its_result(home, places, agent):
    (home / "no-login").mkdir()
    (home / "no-login" / ".credentials.json").write_text(login(left_s=300))
    heard = []
    options = agent("local", "init; result") | {"api": "live", "on_progress": heard.append}
    result = run_until_clean(places, **options)
    assert "expires in 4 min, and the run may take 30 min" in heard[0]
    assert result.warnings[0] == heard[0]


@pytest.mark.needs("bubblewrap")
def test_an_expired_one_starts_nothing(home, agent):
    (home / "no-login").mkdir()
    (home / "no-login" / ".credentials.json").write_text(login(left_s=-300))
    with pytest.raises(ccnb.CcnbError, match=r"expired 5 min ago.*run `claude setup-token`"):
        ccnb.run("Do it", **agent("local", "init; result") | {"api": "live"})
    assert ccnb.runs() == []


@pytest.mark.needs("bubblewrap")
def test_a_login_is_copied_without_what_could_renew_it(home, places, agent):
    (home / "no-login").mkdir()
    (home / "no-login" / ".credentials.json").write_text(login())
    look = "init; env >env; find / -name .credentials.json 2>/dev/null >found; result"
    result = run_until_clean(places, **agent("local", look) | {"api": "live"})
    seen = (result.workspace / "env").read_text()
    assert LOGIN in seen
    assert "sk-ant-ort01" not in seen
    assert (result.workspace / "found").read_text() == ""
