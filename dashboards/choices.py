"""Controls that pages have in common: which comparison, which model, which task; a choice is a part of the address.

names, the one that counts ── box ──> a selectbox that shows it ── a change ──> Filters, and the address
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

from benchkit.report import words
from benchkit.types.board import ComparisonRow
from dashboards.bar import choose
from dashboards.compared import Picked, when
from dashboards.place import plain

Field = Literal["comparison", "task", "model", "against", "item", "documents"]
_NAME = 80


def box(
    label: str,
    names: Sequence[str],
    now: str,
    *,
    field: Field,
    key: str,
    said: Callable[[str], str] | None = None,
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Place a selectbox; the address has the last word on what it shows.

    Args:
        said: What stands for a name; without it the name itself.
    """
    st.session_state[key] = now
    st.selectbox(
        label,
        list(names),
        format_func=said or (lambda name: plain(name, _NAME)),
        key=key,
        on_change=keeps(field, key),
        width=width,
    )


def keeps(field: Field, key: str) -> Callable[[], None]:
    """Return what keeps the value of a control as a part of the address."""

    def keep() -> None:
        choose(**{field: st.session_state[key]})

    return keep


def comparison_box(found: Picked, *, key: str) -> None:
    """Place the choice of a comparison, the newest first."""
    rows = {row.key: row for row in reversed(found.rows)}
    box("Comparison", list(rows), found.row.key, field="comparison", key=key, said=lambda one: row_words(rows[one]))


def row_words(row: ComparisonRow) -> str:
    """Return a comparison in a line."""
    return f"{when(row.started)} · {plain(row.suite, _NAME)} · {words.counted(len(row.models), 'model')}"
