"""Lengths of drawn deviations, with the variance that lengths of real ones have.

    features of held rows (N, F) ── products of different rows, and of each with itself ──> Lengths
    Lengths, sizes of drawn windows ──> centroid and mahalanobis corrected, in place

A window's squared length is a sum of products of its rows. Drawn windows hold some rows twice, and a row's product with
itself is as large as there are directions, d; nothing like it comes of different rows. So drawn squared lengths vary by
2 d² / N too much, once for every time that something is drawn from N things (measured with 384 directions: false alarms
of .02 to .04 for .05). From pairs of different rows the variance is had without bias.

Source: Chen, Zhang and Zhong, "Tests for high-dimensional covariance matrices", JASA 105 (2010), eq. 2.1: tr Σ² from
pairs. Cost: N d² multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]

SMALLEST = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Lengths:
    """What the variance of squared lengths is made of, for the centroid and for Mahalanobis.

    Attributes:
        pairs: (2,) mean squared product of two different rows.
        selves: (2,) variance of a row's product with itself, less what it is of pairs.
    """

    pairs: Doubles
    selves: Doubles

    @classmethod
    def of(cls, yardstick: Yardstick, rows: Single) -> Lengths:
        """Take it from rows minus their mean (N, F)."""
        n = len(rows)
        pairs, selves = [], []
        for weights in (np.ones(len(yardstick.ridged)), 1 / np.sqrt(yardstick.ridged)):
            weighted = rows[:, yardstick.blocks[0]] * weights.astype(np.float32)
            products = np.square((weighted.T @ weighted).astype(np.float64)).sum()
            own = np.square(weighted).sum(axis=1, dtype=np.float64)
            pairs.append((products - np.square(own).sum()) / (n * (n - 1)))
            selves.append(own.var() - 2 * pairs[-1])
        return cls(np.array(pairs), np.array(selves))

    def correct(self, sizes: Doubles, n_rows: int, n_baseline: int) -> None:
        """Give the first two of drawn sizes (b, 7) the variance of real ones, in place."""
        whole = n_rows + n_baseline
        by_rows = n_baseline**2 / (n_rows * whole**2) + n_rows**2 / (n_baseline * whole**2)
        squared = np.square(sizes[:, :2])
        middle = squared.mean(axis=0)
        wanted = np.maximum(2 * self.pairs + by_rows * self.selves, 0)
        narrower = np.sqrt(wanted / np.maximum(squared.var(axis=0), SMALLEST)).clip(max=1)
        sizes[:, :2] = np.sqrt((middle + narrower * (squared - middle)).clip(min=0))
