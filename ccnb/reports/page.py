"""Pages that stand alone: pictures inside, no script, nothing from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from ccnb.comparison.result import Comparison
from ccnb.errors import SpecError
from ccnb.render import Grid, one_line
from ccnb.render.html import table

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em}
pre{overflow:auto;padding:.6em;background:rgba(128,128,128,.1);border-radius:4px}
table{border-collapse:collapse;margin:1em 0}
td,th{padding:.2em .7em;border-bottom:1px solid rgba(128,128,128,.3)}
img{max-width:100%;background:#fff}
.wide{overflow-x:auto}
.failed{border-left:4px solid #e5534b;padding:.4em .8em}
"""
_MOST_ROWS = 2_000
_COLUMNS = {
    "number": "number",
    "block": "block",
    "arm": "arm",
    "run_id": "run_id",
    "outcome": "outcome",
    "passed": "passed",
    "wall_s": "wall_s",
    "attempts": "attempts",
    "concurrency": "concurrency",
    "host_load": "host_load",
    "model_served": "model",
    "agent_version": "agent",
    "engine": "engine",
    "image_digest": "image",
}
"""What is shown of each row, and its heading."""
_DIGEST = 12
"""Digits of an image's digest, as `docker images` shows them."""


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole page. The policy in its head keeps even what an agent wrote from loading anything."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{style}</style></head>'
        f"<body>\n{body}\n</body></html>\n"
    )


def notebook_page(content: Any, title: str, error: str) -> str:
    """Return an executed notebook as a page; what went wrong stands at its top."""
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        embed_images=True,
        sanitize_html=False,
    )
    body, _ = exporter.from_notebook_node(content)
    failed = f'<p class="failed">This report is not complete: {html.escape(error)}</p>' if error else ""
    return page(title, failed + body, HtmlFormatter(style="default").get_style_defs(".highlight"))


def comparison_page(comparison: Comparison) -> str:
    """Return a comparison as a page: what it says, each arm, every row with its conditions."""
    failures = comparison.failures()
    parts = [
        f"<h1>Comparison {html.escape(comparison.name)}</h1>",
        comparison._repr_html_(),
        "<h2>Contrasts</h2>",
        "".join(f"<p>{html.escape(str(one))}</p>" for one in comparison.contrasts())
        or "<p>one arm alone</p>",
        f"<h2>Rows</h2>{_rows(comparison)}",
        f"<h2>Failures</h2>{table(_grid(failures))}" if len(failures) else "",
    ]
    return page(f"Comparison {comparison.name}", "\n".join(parts))


def from_store(name: str, output: Path | str) -> Path:
    """Write the page of a comparison that has run; nothing is run.

    Raises
    ------
    ComparisonError
        There is no such comparison.
    SpecError
        The page can't be written.
    """
    target = Path(output)
    text = comparison_page(Comparison(name))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{target} can't be written ({error.strerror}); name another file") from None
    return target


def _rows(comparison: Comparison) -> str:
    """Return the rows with their conditions as a table; where it has not all of them, it says so."""
    shown = comparison.frame[[*_COLUMNS]].head(_MOST_ROWS).rename(columns=_COLUMNS)
    digits = shown["image"].str.removeprefix("sha256:").str.slice(stop=_DIGEST)
    text = f'<div class="wide">{table(_grid(shown.assign(image=digits)))}</div>'
    total = len(comparison.frame)
    if total <= _MOST_ROWS:
        return text
    code = f"ccnb.Comparison({comparison.name!r}).frame"
    said = f"These are the first {_MOST_ROWS:,} of {total:,} rows; what stands above is of all of them"
    return f"<p>{said}, and so is <code>{html.escape(code)}</code>.</p>{text}"


def _grid(frame: Any) -> Grid:
    cells = [[_cell(value) for value in row] for row in frame.astype(object).to_numpy()]
    return Grid([str(column) for column in frame.columns], cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"  # noqa: PLR0124 - NaN
    return "" if str(value) in ("<NA>", "None", "NaT") else one_line(str(value), 200)
