"""What mkdocs doesn't do by itself for the site: the notebooks as pages, and the links from and to them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ccnb.reports.page import notebook_page

ROOT = Path(__file__).parent.parent
_PAGE = re.compile(r'"\.\./docs/([\w-]+)\.md(#[\w-]*)?"')
_NOTEBOOK = re.compile(r"\]\(\.\./(notebooks/[\w-]+)\.ipynb\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add each notebook as it lies in the project, with what it shows, as a page without scripts."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = notebook_page(nbformat.read(path, as_version=4), path.stem, "")
        text = _PAGE.sub(r'"../\1.html\2"', text)
        files.append(File.generated(config, f"notebooks/{path.stem}.html", content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let links to a notebook, which on the page of a repository lead to its file, lead to its page."""
    return _NOTEBOOK.sub(r"](\1.html)", markdown)
