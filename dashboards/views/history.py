"""History: gates and promotions."""

from __future__ import annotations

import streamlit as st

from dashboards import board, place
from dashboards.bar import chosen


def show() -> None:
    """Place the view."""
    st.header("Gates and champions")
    filters = chosen()
    rows = board.gates(filters)
    if not rows:
        place.empty("No gate was run for this choice.", ["benchkit gate minilm-static --baseline minilm"])
    else:
        place.table(rows[::-1], key="gates", links=("address",), alt="Gates, the newest first")
    place.table(board.champions(filters)[::-1], key="champions", links=("address",), alt="Promotions")
