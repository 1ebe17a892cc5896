"""The project's image: what is chosen of it, and its program, copied out where it can't be mounted."""

from __future__ import annotations

import io
import os

import pytest
import trustme

from ccnb.engine import ImageOptions, build, connect, default_reference, program_from
from ccnb.errors import ImageError
from tests.conftest import AGENT_IMAGE, DOUBLES, agent_image

LABELS = {"ccnb.test": str(os.getpid())}
CHOICES = [
    {"claude_version": "2.1.330"},
    {"base": "node:22-bookworm-slim"},
    {"extra_ca": "bundle"},
    {"platform": "linux/arm64"},
]


@pytest.fixture
def engine(engine_mode):
    """Return each engine, with the double's image; no container with our label is left on it."""
    agent_image(engine_mode)
    engine = connect(engine_mode)
    yield engine
    assert engine.list([f"ccnb.test={os.getpid()}"]) == []


@pytest.fixture
def made(engine):
    """Return a function that builds an image from a recipe; it is removed."""
    name = f"localhost/ccnb-test-images-{os.getpid()}:1"

    def make(recipe: str) -> str:
        for step in engine.api.build(fileobj=io.BytesIO(recipe.encode()), tag=name, rm=True, decode=True):
            assert "error" not in step, step
        return name

    yield make
    engine.api.remove_image(name)


@pytest.fixture
def bundle(tmp_path):
    """Return a file with the certificate of an authority."""
    file = tmp_path / "bundle.pem"
    trustme.CA().cert_pem.write_to_path(file)
    return file


def test_the_program_is_found_through_links(engine, made, tmp_path):
    image = made(
        f"FROM {AGENT_IMAGE}\nUSER root\nWORKDIR /usr/local/bin\nRUN mkdir /opt/real && mv claude /opt/real/ "
        "&& ln -s ../../../opt/real/claude one && ln -s /usr/local/bin/one claude\n"
    )
    copied = program_from(engine, image, tmp_path / "claude", LABELS)
    assert copied.read_bytes() == (DOUBLES / "agent" / "claude").read_bytes()
    assert os.access(copied, os.X_OK)
    assert list(tmp_path.iterdir()) == [copied]


@pytest.mark.parametrize("what", ["rm claude", "ln -sf nothing claude", "rm claude && mkdir claude"])
def test_an_image_without_the_program_is_a_sentence(engine, made, tmp_path, what):
    image = made(f"FROM {AGENT_IMAGE}\nUSER root\nWORKDIR /usr/local/bin\nRUN {what}\n")
    with pytest.raises(ImageError, match="holds no claude program; run `ccnb image build`"):
        program_from(engine, image, tmp_path / "claude", LABELS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: next(iter(choice)))
def test_whatever_is_chosen_changes_the_images_name(choice, bundle):
    choice = {name: bundle if value == "bundle" else value for name, value in choice.items()}
    assert default_reference(ImageOptions(**choice)) != default_reference(ImageOptions())


def test_another_bundle_of_the_same_name_is_another_image(bundle):
    options = ImageOptions(extra_ca=bundle)
    before = default_reference(options)
    trustme.CA().cert_pem.write_to_path(bundle)
    assert default_reference(options) != before


@pytest.mark.parametrize("engine_mode", [pytest.param("docker", marks=pytest.mark.needs("docker"))])
def test_the_image_has_the_version_the_base_and_the_bundle_that_were_chosen(engine, made, bundle):
    base = made("FROM node:22-slim\nLABEL ccnb.test-base=1\n")
    said: list[str] = []
    options = ImageOptions(claude_version="2.1.330", base=base, extra_ca=bundle)
    name = build(engine, said.append, options)
    try:
        assert engine.api.inspect_image(name)["Config"]["Labels"]["ccnb.test-base"] == "1"
        version, _, certificates = output(engine, name, "claude --version; cat $NODE_EXTRA_CA_CERTS")
        assert version.startswith("2.1.330 ")
        assert bundle.read_text() in certificates
        assert said
    finally:
        engine.api.remove_image(name)


def output(engine, image: str, commands: str) -> tuple[str, str, str]:
    """Return what shell commands say in an image, divided at the end of the first line."""
    container = engine.api.create_container(image, ["sh", "-c", commands], labels=LABELS)["Id"]
    try:
        engine.start(container)
        assert engine.api.wait(container)["StatusCode"] == 0
        return engine.api.logs(container).decode().partition("\n")
    finally:
        engine.remove(container)
