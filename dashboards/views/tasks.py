"""Tasks: the score of each model on each task."""

from __future__ import annotations

import streamlit as st

from dashboards import board, place
from dashboards.bar import chosen


def show() -> None:
    """Place the view."""
    st.header("Scores by task")
    rows = board.comparisons(chosen())
    if not rows:
        place.empty("No comparison is of this choice.", ["benchkit compare minilm minilm-static tfidf --offline"])
        return
    cells = board.comparison_of(rows[-1].key).cells
    scores = [{"model": cell.result.model, "task": cell.result.task, "score": cell.result.main_score} for cell in cells]
    place.table(scores, key="cells", alt="Scores of models on tasks")
