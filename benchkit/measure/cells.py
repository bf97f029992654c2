"""Sums over cells: how often each label, value or label-cluster cell occurs in each of many resamples at once.

    cell of each item (n,) ── cell_sums ──┐
    counts (n, B) ────────────────────────┴──> sums (cells, B)

Every score of this package is a function of such sums. `counts` has the items in its rows, so that the product adds
whole rows, which lie together in memory. Cost of a product: O(n * B), whatever the number of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Sums: TypeAlias = Callable[[Floats], Floats]  # counts (n, b) -> how much is in each cell (cells, b)
Scorer: TypeAlias = Callable[[Floats], Floats]  # counts (n, b) -> one score for each resample (b,)

IN_NO_CELL = -1


def cell_sums(cells: Ints, n_cells: int, *, amounts: Floats | None = None) -> Sums:
    """Return the function that sums the counts of the items in each cell.

    Args:
        cells: Cell of each item (n,), from 0 to n_cells - 1, or IN_NO_CELL.
        n_cells: Rows of the result.
        amounts: How much one occurrence of an item counts (n,); 1 when left out.

    >>> sums = cell_sums(np.array([1, 0, 1, IN_NO_CELL]), 2)
    >>> sums(np.array([[1.0], [2.0], [3.0], [9.0]])).tolist()  # items 0 and 2 are in cell 1
    [[2.0], [4.0]]
    """
    inside = np.flatnonzero(cells != IN_NO_CELL)
    if amounts is None and len(inside) == n_cells == len(np.unique(cells[inside])):
        order = inside[np.argsort(cells[inside])]
        return lambda counts: counts[order]  # one item in each cell, as with scores that don't tie: nothing to add up
    values = np.ones(len(inside)) if amounts is None else amounts[inside]
    return _product(values, cells[inside], inside, (n_cells, len(cells)))


def column_sums(amounts: Ints) -> Sums:
    """Return the function that sums each column of `amounts` (n, cells) over the counts of the items."""
    items, cells = np.nonzero(amounts)
    return _product(amounts[items, cells].astype(np.float64), cells, items, (amounts.shape[1], len(amounts)))


def _product(values: Floats, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Sums:
    from scipy.sparse import csr_array  # a quarter of a second that `benchkit --help` need not wait for

    matrix = csr_array((values, (rows, columns)), shape=shape)

    def sums(counts: Floats) -> Floats:
        return np.asarray(matrix @ counts, dtype=np.float64)

    return sums


def ratio(top: Floats, bottom: Floats, *, empty: float = 0.0) -> Floats:
    """Divide, with `empty` where the denominator is 0; 0 is scikit-learn's zero_division=0."""
    result: Floats = np.full(np.broadcast_shapes(top.shape, bottom.shape), empty)
    return np.divide(top, bottom, out=result, where=bottom > 0)


def ratio_or_nan(top: Floats, bottom: Floats) -> Floats:
    """Divide, with nan where the denominator is 0: the score is not defined there."""
    return ratio(top, bottom, empty=np.nan)
