"""How far rows are from everything that is known: a soft minimum of their squared distances from the centroids.

    nearness of rows to centroids (n, k) ── width · log Σ exp(2 nearness / width), half of it ──> soft maximum (n,)
    squared row - 2 · soft maximum = -width · log Σ exp(-squared distance / width)

That is the negative log-likelihood of a mixture of balls of variance width / 2, one around each centroid (their free
energy). A row between several centroids is less strange than one that is as far from a single one: topics are many
clusters and no balls. Measured on development streams with 5 % new rows: 1 to 6 % more standard errors than the
distance to the nearest for new domains of questions, 1 to 2 % fewer for news; twice the width finds less.

Nearness is half of what a squared distance lacks to the row's own square, x·c - |c|²/2: no other product is needed.
Cost: k exponentials a row; 2 to 4 % of a window's time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]

SOFTNESS = 0.03  # the width in mean squared distances of a row from its centroid
NARROWEST = 1e-6  # of the farthest row's square: rows that are copies of few have no distance from their centroids


def width_of(nearest: Single, radius: float) -> float:
    """Return the width for rows with these squared distances from their centroids; the farthest is `radius` off."""
    return max(SOFTNESS * float(nearest.mean(dtype=np.float64)), NARROWEST * radius**2)


def soft_squares(rows: Single, centroids: NDArray[np.floating], width: float) -> Single:
    """Return each row's soft squared distance from the centroids."""
    wide = centroids.astype(np.float32)
    nearness = rows @ wide.T - np.einsum("ij,ij->i", wide, wide) / 2
    squares: Single = np.einsum("ij,ij->i", rows, rows) - 2 * soften(nearness, nearness.max(axis=1), width)
    return squares


def soften(nearness: Single, largest: Single, width: float) -> Single:
    """Return the soft maximum (n,) of each row's nearness (n, k), given its largest; `nearness` is overwritten."""
    nearness -= largest[:, None]
    nearness *= np.float32(2 / width)
    np.exp(nearness, out=nearness)
    total: Single = nearness @ np.ones(nearness.shape[1], np.float32)
    np.log(total, out=total)
    soft: Single = largest + np.float32(width / 2) * total
    return soft
