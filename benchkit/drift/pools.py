"""Deviations by columns that belong together, for what few windows of the past can't tell of each column alone.

    deviations (m, F) ── columns_of ──> (m, F - 1), clusters along the contrasts of their tree ── deviations_of ──> back
    pools_of ──> slices of columns: in the order of their importance 4, 12, 48, ... of a block; each of the few others

A topic is many clusters, and what each differs by would drown in its chance: contrasts of many come first.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]

FIRST_POOL = 4  # columns; each further pool ends with four times as many


def columns_of(yardstick: Yardstick, deviations: Doubles) -> Doubles:
    """Return deviations (m, F) with their clusters along contrasts, each of which has a row's variance of one."""
    linear, squares, clusters, novelty, norm = yardstick.blocks
    return np.hstack(
        [
            deviations[:, linear],
            deviations[:, squares],
            deviations[:, clusters] @ yardstick.contrasts,
            deviations[:, novelty],
            deviations[:, norm],
        ]
    )


def deviations_of(yardstick: Yardstick, columns: Doubles) -> Doubles:
    """Return the deviations (m, F) that columns (m, F - 1) are of."""
    _, squares, clusters, *_ = yardstick.blocks
    before, after = columns[:, : squares.stop], columns[:, clusters.stop - 1 :]
    along = columns[:, squares.stop : clusters.stop - 1]
    return np.hstack([before, along @ yardstick.contrasts.T * yardstick.shares, after])


def row_variances(yardstick: Yardstick, of_features: Doubles) -> Doubles:
    """Return the variance of one row in each column (F - 1,), from that of its features (F,)."""
    _, squares, clusters, *_ = yardstick.blocks
    n_contrasts = clusters.stop - clusters.start - 1
    return np.concatenate([of_features[: squares.stop], np.ones(n_contrasts), of_features[clusters.stop :]])


def pools_of(yardstick: Yardstick) -> list[slice]:
    """Return all columns in pools."""
    linear, squares, clusters, _, norm = yardstick.blocks
    ends = [0, linear.stop, squares.stop, clusters.stop - 1]
    pooled = [
        slice(low + part.start, low + part.stop) for low, high in pairwise(ends) for part in falling_pools(high - low)
    ]
    # Of novelty's bins and the norm there are few, and they are unlike each other.
    return pooled + [slice(column, column + 1) for column in range(clusters.stop - 1, norm.stop - 1)]


def falling_pools(n: int) -> list[slice]:
    """Return pools of columns that come in the order of their importance: 4, 12, 48, ..."""
    ends = [0]
    while ends[-1] < n:
        ends.append(min(max(4 * ends[-1], FIRST_POOL), n))
    return [slice(low, high) for low, high in pairwise(ends)]


def directions(deviations: Doubles) -> float:
    """Return in how many directions deviations (m, f) differ, as far as so many show it: (tr S)² / tr S²."""
    products = deviations @ deviations.T
    squares = float(np.square(products).sum())
    return max(float(np.trace(products)) ** 2 / squares, 1.0) if squares > 0 else 1.0
