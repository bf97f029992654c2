"""A comparison as a pandas DataFrame, one row for each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchkit.types.comparison import Comparison, ScoredCell

if TYPE_CHECKING:
    import pandas as pd

_DTYPES = {"score": "float64", "ci_low": "float64", "ci_high": "float64", "n_items": "Int64"}


def to_dataframe(comparison: Comparison) -> pd.DataFrame:
    """Return model, task, type, status, metric, score, ci_low, ci_high, n_items; the absent is missing, not 0."""
    import pandas as pd  # a second of import time that only this function needs

    columns = ["model", "task", "type", "status", "metric", *_DTYPES]
    rows = [_row(scored) for scored in comparison.cells]
    return pd.DataFrame(rows, columns=columns).astype(_DTYPES)


def _row(scored: ScoredCell) -> tuple[str | float | int | None, ...]:
    cell, interval = scored.result, scored.interval
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return (cell.model, cell.task, cell.type, cell.status, cell.main_metric, cell.main_score, *ends, cell.n_items)
