"""What is needed to talk to Fly.io, and where it is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccnb.errors import CredentialError, ModeUnavailableError
from ccnb.fly import Settings
from ccnb.fly.settings import plain_token

VARIABLES = (
    *("FLY_API_TOKEN", "FLY_ACCESS_TOKEN", "FLY_APP", "FLY_ORG", "FLY_REGION", "FLY_FLAPS_BASE_URL"),
    *("FLY_API_BASE_URL", "CCNB_FLY_IMAGE", "CCNB_FLY_REGISTRY"),
)
PASTED = "fo1_abcdefgh"


@pytest.fixture
def nothing_set(monkeypatch, tmp_path):
    """Return a folder in which nothing names anything, flyctl's settings among it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLY_CONFIG_DIR", str(tmp_path / "flyctl"))
    return tmp_path


def test_the_first_that_names_a_value_wins(nothing_set, monkeypatch):
    (nothing_set / "flyctl").mkdir()
    (nothing_set / "flyctl" / "config.yml").write_text("access_token: from-flyctl\n")
    assert Settings.find(nothing_set).token.reveal() == "from-flyctl"
    (nothing_set / "fly.toml").write_text('app = "of-toml"\nprimary_region = "ams"\n')
    (nothing_set / ".env").write_text("# mine\nexport FLY_API_TOKEN='from-dotenv'\nFLY_REGION=fra\n")
    found = Settings.find(nothing_set)
    assert (found.app, found.region, found.token.reveal()) == ("of-toml", "fra", "from-dotenv")
    monkeypatch.setenv("FLY_API_TOKEN", "from-environment")
    monkeypatch.setenv("FLY_APP", "of-environment")
    found = Settings.find(nothing_set, region="lhr")
    assert (found.app, found.region, found.token.reveal()) == ("of-environment", "lhr", "from-environment")


def test_the_example_of_a_dotenv_file_has_them_and_sets_none(nothing_set):
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    (nothing_set / ".env").write_text(example)
    assert Settings.find(nothing_set) == Settings.find(nothing_set / "nowhere")
    filled = re.sub(r"(?m)^# (FLY_\w+|CCNB_FLY_IMAGE)=$", r"\1=of-\1", example)
    (nothing_set / ".env").write_text(filled)
    found = Settings.find(nothing_set)
    assert (found.app, found.org, found.region) == ("of-FLY_APP", "of-FLY_ORG", "of-FLY_REGION")
    assert (found.token.reveal(), found.image) == ("of-FLY_API_TOKEN", "of-CCNB_FLY_IMAGE")


def test_the_templates_app_is_nobodys(nothing_set):
    (nothing_set / "fly.toml").write_text('app = "change-me-ccnb"\n')
    assert Settings.find(nothing_set).app == ""


@pytest.mark.parametrize(
    ("pasted", "header"),
    [
        ("FlyV1 fm2_abcdef,fm2_ghijkl", "FlyV1 fm2_abcdef,fm2_ghijkl"),
        ("Bearer fo1_abcdefgh", "Bearer fo1_abcdefgh"),
        ("  fm1r_abcdefgh\n", "FlyV1 fm1r_abcdefgh"),
        ("fo1_abcdefgh", "Bearer fo1_abcdefgh"),
    ],
)
def test_a_token_is_sent_under_the_scheme_of_its_kind_however_it_was_pasted(nothing_set, pasted, header):
    assert Settings.find(nothing_set, token=pasted).authorization == header
    assert plain_token(plain_token(pasted)) == plain_token(pasted)


def test_what_is_missing_is_said_with_what_to_do(nothing_set):
    with pytest.raises(CredentialError, match="set FLY_API_TOKEN"):
        Settings.find(nothing_set).needed()
    with pytest.raises(ModeUnavailableError, match="run `ccnb fly setup`"):
        Settings.find(nothing_set, token=PASTED).needed()


def test_a_token_shows_nowhere(nothing_set):
    assert "abcdefgh" not in repr(Settings.find(nothing_set, token=PASTED))


@pytest.mark.parametrize(
    ("url", "near"),
    [("http://127.0.0.1:4280", True), ("http://localhost:1", True), ("https://api.machines.dev", False)],
)
def test_only_a_platform_on_this_machine_is_near(nothing_set, url, near):
    assert Settings.find(nothing_set, machines_url=url).is_near is near
