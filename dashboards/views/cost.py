"""Cost: what each model costs."""

from __future__ import annotations

import streamlit as st

from dashboards import board, place
from dashboards.bar import chosen


def show() -> None:
    """Place the view."""
    st.header("What models cost")
    rows = [row for row in board.comparisons(chosen()) if row.has_cost]
    if not rows:
        place.empty("No costs were measured for this choice.", ["benchkit compare minilm minilm-static --offline"])
        return
    report = board.comparison_of(rows[-1].key).cost
    place.table(report.models if report else (), key="costs", alt="Costs of models")
