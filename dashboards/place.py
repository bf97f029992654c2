"""The parts that pages are made of: sentences, charts, tables, downloads and commands.

    Chart ── chart ──> picture with its words, and below it the rows and a CSV
    rows ─── table ──> sortable table with its CSV; the row that was picked
    text ─── sentence, command, empty ──> what is told

Names and texts come out of data. They reach the page as plain text or escaped here, never as Markdown or HTML.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import streamlit as st

from benchkit.errors import BenchkitError
from benchkit.report.charts.base import DARK, LIGHT, Chart, themed
from dashboards.theme import SAVES, SIGNS, UNREAD, Kind

Row = Mapping[str, Any]
Picked = Callable[[Sequence[Row]], None]

# A cell that shows more than this shows less: the whole of it is in the CSV.
CELL_LENGTH = 500
_TABLE_ROWS = 10
# Controls, and what turns the direction of the text that follows.
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PUNCTUATION = re.compile(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")
# What Streamlit makes links, arrows and pictures of although every sign is escaped, and the hyphens of a date, at which
# a narrow window would break it; a word joiner, which nobody sees, keeps them from that.
_MADE_MORE = re.compile(
    r"(?<=:)(?=[^\W\d]|[_/])|(?<=[wW])(?=\.)|(?<=@)(?=\S+\.)|(?<=[-<>=])(?=[-<>=])"
    r"|(?<=\d{4}-)(?=\d\d-\d\d)|(?<=\d{4}-\d\d-)(?=\d\d)"
)
_WORD_JOINER = "\u2060"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


# ---------------------------------------------------------------- texts


def plain(text: str, limit: int = CELL_LENGTH) -> str:
    """Return a text for one line: no controls, no turned direction, and not longer than the limit.

    >>> plain("a\\tb \\u202etxt")
    'a b �txt'
    """
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return _HARMFUL.sub("\ufffd", re.sub("[\t\n\r\u2028\u2029]+", " ", cut))


def escaped(text: str, limit: int = CELL_LENGTH) -> str:
    """Return a text of data for a place that Streamlit takes for Markdown: labels, expanders, metrics, sentences.

    >>> escaped("<b>$x$ :red[y]")
    '\\\\<b\\\\>\\\\$x\\\\$ \\\\:\\u2060red\\\\[y\\\\]'
    """
    # Blanks at the beginning would make it code.
    unmade = _MADE_MORE.sub(_WORD_JOINER, plain(text, limit).strip())
    return _PUNCTUATION.sub(r"\\\g<0>", unmade)


def unescaped(made: str) -> str:
    """Return what a reader sees of a text that `escaped` made, for places without Markdown."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", made).replace(_WORD_JOINER, "")


def sentence(text: str, kind: Kind | None = None) -> None:
    """Place a plain text; with a kind, in its colour and with its sign."""
    if kind is None:
        st.markdown(escaped(text, limit=5000))
        return
    box = {"good": st.success, "info": st.info, "warning": st.warning, "bad": st.error}[kind]
    box(escaped(text, limit=5000), icon=SIGNS[kind])


def command(text: str) -> None:
    """Place a command that can be copied."""
    st.code(text, language="bash", wrap_lines=True)


def empty(what: str, commands: Sequence[str] = ()) -> None:
    """Say that there is nothing to show, and how to get it."""
    sentence(what, "info")
    if commands:
        sentence("How to get it:" if len(commands) == 1 else "How to get it, one line after the other:")
        command("\n".join(commands))


@contextmanager
def problems_told() -> Iterator[None]:
    """Place what can't be read as a sentence, and leave the rest of the page alone."""
    try:
        yield
    except BenchkitError as problem:
        unread(str(problem))


def unread(why: str) -> None:
    """Say what can't be read; `benchkit dashboard --check` ends with 1 for it."""
    st.error(escaped(why, limit=5000), icon=UNREAD)


# ---------------------------------------------------------------- rows


def as_rows(records: Sequence[Any]) -> list[Row]:
    """Return flat rows of mappings and of our records: what is inside a part is a column of its own.

    >>> as_rows([{"mean": {"low": 0.1, "high": 0.2}}])
    [{'mean_low': 0.1, 'mean_high': 0.2}]
    """
    return [dict(_flat("", record)) for record in records]


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, part in value.items():
        yield from _flat(f"{name}_{key}" if name else str(key), part)


def csv_of(rows: Sequence[Row]) -> str:
    """Return the rows as CSV, numbers in full; no cell is a formula when a spreadsheet opens it.

    >>> csv_of([{"model": "=1+1", "score": 0.1 + 0.2}])
    "model,score\\r\\n'=1+1,0.30000000000000004\\r\\n"
    """
    columns = _columns(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _cell(value: object) -> object:
    """Return what the CSV holds: numbers as they are, texts that no spreadsheet computes."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = _joined(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _shown(value: object) -> object:
    """Return what a cell shows; a yes is a tick, since a box would look as if it could be ticked."""
    if isinstance(value, bool):
        return "✓" if value else ""
    return value if value is None or isinstance(value, int | float) else plain(_joined(value))


def web_address(value: object) -> str | None:
    """Return an address that a click may open: of the web and nothing else."""
    text = str(value)
    return text if re.match("https?://[^\\s]+$", text) and text == plain(text) else None


# ---------------------------------------------------------------- tables and charts


def table(
    rows: Sequence[Any],
    *,
    key: str,
    columns: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    links: Sequence[str] = (),
    alt: str = "",
    picks: bool = False,
) -> int | None:
    """Place a table with its download.

    Args:
        rows: Mappings or records.
        key: Names the table and its file: letters, digits and "-".
        columns: Name -> heading of those that are shown, in this order; without it all. The CSV has all.
        config: Name -> what st.column_config makes, for formats, bars and the like.
        links: Columns of web addresses.
        picks: Whether a row can be picked.

    Returns:
        The place of the picked row in `rows`; None where none is.
    """
    kept = as_rows(rows)
    heads = dict(columns) if columns is not None else {name: name.replace("_", " ") for name in _columns(kept)}
    shown = {
        name: [web_address(row.get(name)) if name in links else _shown(row.get(name)) for row in kept] for name in heads
    }
    made = {name: st.column_config.Column(head) for name, head in heads.items()}
    made |= {name: st.column_config.LinkColumn(heads[name], display_text="open") for name in links if name in heads}
    common: dict[str, Any] = {
        "hide_index": True,
        "placeholder": "–",
        "column_config": {**made, **(config or {})},
        "height": "auto" if len(kept) <= _TABLE_ROWS else 35 * (_TABLE_ROWS + 1) + 3,
        "key": key,
        "alt": alt or None,
    }
    picked = None
    if picks:
        event = st.dataframe(shown, on_select="rerun", selection_mode="single-row", **common)
        picked = next(iter(event.selection.rows), None)
    else:
        st.dataframe(shown, **common)
    download(kept, key=key)
    # The rows may have become fewer since the click.
    return picked if picked is not None and picked < len(kept) else None


def download(rows: Sequence[Row], *, key: str, label: str = "Download CSV") -> None:
    """Place a button that saves the rows; the file is made when it is clicked."""
    st.download_button(
        f"{SAVES} {label}",
        data=lambda: csv_of(rows).encode("utf-8-sig"),
        file_name=f"{key}.csv",
        mime="text/csv",
        key=f"{key}-csv",
        on_click="ignore",
        type="tertiary",
    )


def chart(drawn: Chart | None, *, key: str, on_pick: Picked | None = None, absent: str = "") -> None:
    """Place a chart with its words, its rows and their download.

    Args:
        drawn: What a builder made; where it made nothing, `absent` is said, if it says anything.
        key: Names it on its page.
        on_pick: Called with the marks that were picked, where the specification has a parameter that picks.
    """
    if drawn is None:
        if absent:
            st.caption(escaped(absent))
        return
    st.markdown(f"**{escaped(drawn.title)}**")
    common: dict[str, Any] = {"spec": _drawable(drawn), "width": "stretch", "theme": "streamlit", "key": key}
    if on_pick is None:
        st.vega_lite_chart(alt=drawn.alt, **common)
    else:
        event = st.vega_lite_chart(alt=drawn.alt, on_select="rerun", **common)
        if picked := _picked(event.selection):
            on_pick(picked)
    # Nearly nobody opens it, and a page has six of them: the table is made when it is opened.
    with st.expander("Data", key=f"{key}-rows", on_change="rerun") as shown:
        if shown.open:
            table(drawn.rows, key=f"{key}-data", alt=drawn.title)


def _drawable(drawn: Chart) -> dict[str, Any]:
    """Return the specification as Streamlit draws it: in the visitor's theme, whose fonts are Streamlit's."""
    # The description of a specification that stands alone; here it is `alt`.
    left_out = {"description"}
    # Streamlit hands the data over apart, and where no layer draws them Vega says that it doesn't know them.
    if all("data" in layer for layer in drawn.spec.get("layer", [{}])):
        left_out.add("data")
    theme = DARK if st.context.theme.type == "dark" else LIGHT
    return {name: part for name, part in themed(drawn, theme).items() if name not in left_out}


def _picked(selection: Mapping[str, Any]) -> list[Row]:
    """Return the marks that were picked, of whatever parameter."""
    return [row for found in selection.values() if isinstance(found, list) for row in found if isinstance(row, Mapping)]
