"""The source that a check or a watch holds against a baseline, read as the baseline's own was.

Baseline (names of columns, dimension, storage) ─┬─ open_beside ──> Source
what the command names itself ───────────────────┘
"""

from __future__ import annotations

import numpy as np

from benchkit.drift.row_facts import DTYPES
from benchkit.monitor.baseline import USUAL, Baseline
from benchkit.sources.open import open_source
from benchkit.sources.vectors import Stored
from benchkit.types.drift import ColumnNames, Source


def open_beside(
    baseline: Baseline,
    spec: str,
    *,
    columns: ColumnNames | None = None,
    dimension: int | None = None,
    query: str | None = None,
    settling_s: float = 0.0,
) -> Source:
    """Return a source to be held against a baseline; nothing of it is read yet.

    Args:
        columns: Those of the baseline hold where these say nothing, as far as the source's format has columns at all.
        dimension: None takes each file's own: whether it is the baseline's is judged, and no damage of the file.

    Raises:
        UsageError: see `open_source`.
    """
    return open_source(
        spec,
        columns=columns or USUAL,
        dimension=dimension,
        query=query,
        settling_s=settling_s,
        known=_stored(baseline),
        columns_of_baseline=baseline.columns,
    )


def _stored(baseline: Baseline) -> Stored:
    """Return how most rows of a baseline are stored."""
    most = DTYPES[int(baseline.health.dtype_rows.argmax())]
    return Stored(baseline.info.dimension, np.dtype(most).itemsize)
