"""Sums over all pairs of rows, for every relabelling at once: what MMD and energy distance are made of.

    rows (N, d) ── squared distances, a block of rows at a time ── kernel K ─┐
    labels (N, P) of 0 and 1 ────────────────────────────────────── K @ S ───┴── sums of K within and across, (P,) each

With s the labels of one column, the pairs within the reference sum to sᵀKs and those across to sᵀK1 − sᵀKs, so one
product K @ S serves all P relabellings and no kernel is computed twice.

Cost: O(N² · (d + P)) time; O(N · (d + P)) memory and a block of at most 256 rows of K: 40 MB at N = 20,000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchkit.drift.detectors.permutations import Labels
from benchkit.drift.detectors.samples import Floats

_BLOCK = 256
# Rows whose pairs give the median distance: half a million pairs, so its error is well under 1 %.
_MEDIAN_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """Sums of a kernel over ordered pairs of different rows, for each relabelling (P,).

    Attributes:
        within_reference, within_current: Over pairs of one sample, each pair counted in both orders.
        across: Over pairs of a reference row and a current row, each counted once.
        n_reference, n_current: Rows.
    """

    within_reference: Floats
    within_current: Floats
    across: Floats
    n_reference: int
    n_current: int


def pair_sums(rows: Floats, labels: Labels, kernel: Callable[[Floats], Floats]) -> PairSums:
    """Sum a kernel over the pairs of every relabelling.

    Args:
        kernel: From squared distances to values, element by element.
    """
    chosen = labels.astype(np.float64)
    within, towards, total = np.zeros(chosen.shape[1]), np.zeros(chosen.shape[1]), 0.0
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        values = kernel(squared_distances(rows[part], rows))
        own = np.arange(len(values))
        values[own, start + own] = 0.0  # a row and itself are no pair
        within += np.einsum("ip,ip->p", chosen[part], values @ chosen)
        of_row = values.sum(axis=1)
        towards += of_row @ chosen[part]
        total += float(of_row.sum())
    n_reference = int(labels[:, 0].sum())
    return PairSums(within, total - 2 * towards + within, towards - within, n_reference, len(rows) - n_reference)


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Return ||a_i − b_j||², (n, m).

    float64 rows about the origin are wanted: the three terms cancel for near-identical rows.
    """
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b) - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def median_squared_distance(rows: Floats, rng: np.random.Generator) -> float:
    """Return the median squared distance between two rows, of at most 1000 of them drawn at random.

    Where more than half of the pairs are duplicates it is the mean instead, and 1 where all rows are equal.
    """
    some = rows if len(rows) <= _MEDIAN_ROWS else rows[rng.choice(len(rows), size=_MEDIAN_ROWS, replace=False)]
    squares = squared_distances(some, some)[np.triu_indices(len(some), k=1)]
    return float(np.median(squares)) or float(squares.mean()) or 1.0
