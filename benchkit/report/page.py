"""What every page of a report is made of: the document, its style, cells and tables.

    title, sections ── document ──> one self-contained HTML page
    text of the data ── escape, text_cell ──> HTML

A page loads nothing and runs nothing: its policy allows the one style sheet by its hash and forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape as escape_html
from importlib.resources import files

from benchkit.report import words


def document(title: str, sections: Iterable[str]) -> str:
    """Return a self-contained page: no script, nothing fetched, one style sheet; sections come as HTML."""
    style = _style()
    body = "\n".join(section for section in sections if section)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def escape(text: str) -> str:
    """Return text of the data for use between tags or in a quoted attribute."""
    return escape_html(words.plain(text), quote=True)


@cache
def _style() -> str:
    return files("benchkit.report").joinpath("report.css").read_text(encoding="utf-8")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


# --- small pieces; texts come escaped, except for `text_cell`


def section(title: str, *parts: str) -> str:
    return "\n".join([f"<section>\n<h2>{title}</h2>", *(part for part in parts if part), "</section>"])


def cell(content: str, css: str = "", *, tag: str = "td", scope: str = "", text: bool = False) -> str:
    # dir: Arabic and Persian texts read from the right, whatever stands beside them.
    given = [("class", css), ("scope", scope), ("dir", "auto" if text else "")]
    attributes = "".join(f' {key}="{value}"' for key, value in given if value)
    return f"<{tag}{attributes}>{content}</{tag}>"


def heading(content: str, css: str = "") -> str:
    return cell(content, css, tag="th", scope="col")


def row_heading(content: str) -> str:
    return cell(content, tag="th", scope="row")


def number(content: str) -> str:
    return cell(content, "number")


def text_cell(content: str) -> str:
    return cell(escape(content), "text", text=True)


def small(content: str) -> str:
    return f'<span class="small">{content}</span>' if content else ""


def table(label: str, headings: Sequence[str], rows: Iterable[str], css: str = "") -> str:
    """Return a table that scrolls in its own frame; it can be reached and named without a mouse."""
    kind = f"scroll {css}".rstrip()
    return "\n".join(
        [
            f'<div class="{kind}" role="region" tabindex="0" aria-label="{label}">\n<table>',
            f"<thead><tr>{''.join(headings)}</tr></thead>\n<tbody>",
            *rows,
            "</tbody>\n</table>\n</div>",
        ]
    )


def row(cells: Iterable[str], css: str = "") -> str:
    kind = f' class="{css}"' if css else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"
