"""A comparison as pandas DataFrames: one row for each cell, or one for each figure of cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchkit.types.comparison import Comparison, ScoredCell
from benchkit.types.cost import CostReport

if TYPE_CHECKING:
    import pandas as pd

_DTYPES = {"score": "float64", "ci_low": "float64", "ci_high": "float64", "n_items": "Int64"}
_COST_DTYPES = {
    "value": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "unit": "object",
    "n": "int64",
    "cv": "float64",
}


def to_dataframe(comparison: Comparison) -> pd.DataFrame:
    """Return model, task, type, status, metric, score, ci_low, ci_high, n_items, limited.

    The absent is missing, not 0. `limited` says what was cut of the data, and is "" where nothing was.
    """
    import pandas as pd  # a second of import time that only this function needs

    columns = ["model", "task", "type", "status", "metric", *_DTYPES, "limited"]
    rows = [_row(scored) for scored in comparison.cells]
    return pd.DataFrame(rows, columns=columns).astype(_DTYPES)


def cost_to_dataframe(report: CostReport | None) -> pd.DataFrame:
    """Return model, metric, value, ci_low, ci_high, unit, n, cv; the absent is missing, and nothing measured no row."""
    import pandas as pd

    figures = [figure for model in report.models for figure in model.figures] if report else []
    columns = ["model", "metric", *_COST_DTYPES]
    rows = [tuple(getattr(figure, name) for name in columns) for figure in figures]
    return pd.DataFrame(rows, columns=columns).astype(_COST_DTYPES)


def _row(scored: ScoredCell) -> tuple[str | float | int | None, ...]:
    cell, interval = scored.result, scored.interval
    ends = (None, None) if interval is None else (interval.low, interval.high)
    numbers = (cell.main_score, *ends, cell.n_items)
    return (cell.model, cell.task, cell.type, cell.status, cell.main_metric, *numbers, cell.limited)
