"""The site of the documents builds offline, its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import ccnb
from tests.newcomer import ROOT

LOADED = {"src", "srcset", "poster", "data"}
"""Attributes by which a page takes something in; `href` does in `link` alone."""


@dataclass
class Page(HTMLParser):
    """What a page links to and loads, and which anchors it has."""

    path: Path
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self):
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    __hash__ = object.__hash__

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif name in LOADED or (name == "href" and tag != "a"):
                self.loaded.append(value)

    def target(self, link):
        """Return the file that a link names; a path from the root is taken as one from here."""
        path = unquote(urlsplit(link).path)
        return self.path if not path else (self.path.parent / path.lstrip("/")).resolve()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the pages of the site by their files, built once, where no name leads anywhere."""
    folder = tmp_path_factory.mktemp("site").resolve()
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | nowhere | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return {path: Page(path) for path in sorted(folder.rglob("*.html"))}


def test_every_page_of_the_documents_is_in_it(site):
    names = {path.stem for path in site}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= names
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} <= names


def test_every_link_and_anchor_within_it_resolves(site):
    dangling = [
        f"{page.path.name}: {link}"
        for page in site.values()
        for link in page.links
        if not urlsplit(link).scheme and not resolves(site, page, link)
    ]
    assert dangling == []


def resolves(site, page, link):
    target, anchor = page.target(link), unquote(urlsplit(link).fragment)
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    # The theme's own anchor for the top of a page, of which no element needs the name.
    return not anchor or anchor == "__skip" or target not in site or anchor in site[target].anchors


def test_all_that_a_page_loads_lies_beside_it(site):
    wrong = [
        f"{page.path.name}: {name}"
        for page in site.values()
        for value in page.loaded
        for name in ([part.split()[0] for part in value.split(",")] if " " in value else [value])
        if not name.startswith("data:")
        if urlsplit(name).scheme or urlsplit(name).netloc or not page.target(name).exists()
    ]
    assert wrong == []


def test_styles_load_nothing_from_elsewhere(site):
    sheets = {style for path in site for style in path.parent.glob("assets/**/*.css")}
    assert sheets
    assert [
        sheet.name for sheet in sheets if "url(http" in sheet.read_text() or "@import" in sheet.read_text()
    ] == []


@pytest.mark.parametrize("name", ccnb.__all__)
def test_the_reference_has_each_public_name(site, name):
    (page,) = [page for page in site.values() if page.path.name == "python.html"]
    assert f"ccnb.{name}" in page.anchors
