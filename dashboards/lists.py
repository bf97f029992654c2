"""Sentences one below the other, close together: each st.markdown of its own would stand in a gap.

texts of data, escaped ── bullets ──> one list
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboards.place import escaped

_LONGEST = 2000


def bullets(texts: Sequence[str], *, most: int | None = None, more: str = "") -> None:
    """Place a list.

    Args:
        most: How many are shown; None is all.
        more: What is said behind the number of the others, where there are any; our own words.
    """
    lines = [f"- {escaped(text, _LONGEST)}" for text in texts[:most]]
    if left := len(texts) - len(lines):
        lines.append(f"- and {left:,} more{more}")
    if lines:
        st.markdown("\n".join(lines))
