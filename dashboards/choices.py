"""Controls that pages have in common: which comparison, which model, which task; a choice is a part of the address.

names, the one that counts ── box, part ──> a control that shows it ── a change ──> Filters, and the address
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import streamlit as st

from benchkit.report import words
from benchkit.report.charts.labels import labels
from benchkit.types.board import ComparisonRow
from dashboards.asked import Asked, tell
from dashboards.bar import choose, chosen
from dashboards.compared import Picked, when
from dashboards.place import plain, unescaped

Field = Literal[
    "comparison", "task", "model", "against", "axis", "other", "costs", "trend", "plane", "item", "documents",
    "cells", "order", "slices",
]  # fmt: skip
Part = TypeVar("Part", bound=str)
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
        said: What stands for a name, another text for each; without it the name itself, or what is short and unique.
    """
    st.session_state[key] = now
    shown = labels(names, _NAME)
    st.selectbox(
        label,
        list(names),
        format_func=said or (lambda name: plain(shown[name])),
        key=key,
        on_change=keeps(field, key),
        width=width,
    )


def part(label: str, names: Mapping[Part, str], usual: Part, *, field: Field, key: str) -> Part:
    """Place the choice of which part of a page is drawn, and return it; only that one takes time.

    Args:
        names: What each part is called.
        usual: What is drawn where the address asks for none of them.
    """
    asked = getattr(chosen(), field)
    st.session_state[key] = next((one for one in names if one == asked), usual)
    tell(Asked(label.lower(), asked, names, unescaped(names[usual])))
    taken: Part | None = st.segmented_control(
        label,
        list(names),
        format_func=names.__getitem__,
        key=key,
        on_change=keeps(field, key),
        label_visibility="collapsed",
        required=True,
    )
    return taken or usual


def keeps(field: Field, key: str) -> Callable[[], None]:
    """Return what keeps the value of a control as a part of the address."""

    def keep() -> None:
        # "" stands for nothing chosen: that is no part of an address. An item is of one task of one comparison.
        forgets = {"item": None} if field in ("task", "comparison") else {}
        choose(**{field: st.session_state[key] or None}, **forgets)

    return keep


def comparison_box(found: Picked, *, key: str) -> None:
    """Place the choice of a comparison, the newest first."""
    said = row_words(found.rows[::-1])
    box("Comparison", list(said), found.row.key, field="comparison", key=key, said=said.__getitem__)


def row_words(rows: Sequence[ComparisonRow]) -> dict[str, str]:
    """Return each comparison in a line, by its key; those that would read alike have their keys.

    A selectbox tells its options apart by what they read.
    """
    said = {
        row.key: f"{when(row.started)} · {plain(row.suite, _NAME)} · {words.counted(len(row.models), 'model')}"
        f"{' · interrupted' if row.is_interrupted else ''}"
        for row in rows
    }
    alike = Counter(said.values())
    return {key: line if alike[line] == 1 else f"{line} · {plain(key, _NAME)}" for key, line in said.items()}
