"""Drift: the checks against each baseline."""

from __future__ import annotations

import streamlit as st

from dashboards import board, place
from dashboards.bar import chosen


def show() -> None:
    """Place the view."""
    st.header("Drift checks")
    known = board.baselines()
    if not known:
        place.empty(
            "There is no drift baseline yet.",
            [
                "benchkit drift baseline create prod --from vectors.parquet",
                "benchkit drift check today.parquet --baseline prod",
            ],
        )
        return
    rows = [row for info in known for row in board.checks(info.name, chosen())]
    place.table(rows[::-1], key="checks", alt="Drift checks, the newest first")
