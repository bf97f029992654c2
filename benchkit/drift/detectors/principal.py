"""Principal directions of both samples together: a frame that doesn't know which row is of which sample.

    pooled rows (N, d) ── covariance ── leading eigenvectors that vary ── coordinates (N, k)

Directions whose variance is rounding beside the mean one are dead and left out: some models have dimensions that are
the same for every text, and dividing by their spread makes an alarm of nothing.

Cost: O(N · d² + d³) time, O(N · k + d²) memory.
"""

from __future__ import annotations

import numpy as np

from benchkit.drift.detectors.samples import Floats
from benchkit.drift.frame import DEAD_VARIANCE


def principal_coordinates(rows: Floats, components: int | None) -> Floats:
    """Return coordinates along the directions of largest variance, (N, k), k at most `components`.

    Args:
        rows: (N, d), about the origin: its distance from their mean, squared, is lost from the precision of variances.
        components: None takes every direction that varies.
    """
    mean = rows.mean(axis=0)
    variances, directions = np.linalg.eigh(rows.T @ rows / len(rows) - np.outer(mean, mean))
    alive = variances > DEAD_VARIANCE * variances.mean()
    leading = directions[:, alive][:, ::-1][:, :components]
    return np.asarray(rows @ leading)
