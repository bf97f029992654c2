"""Scores that follow from an order of the items: correlations, average precision, best threshold.

    counts (n, b) ── sums over groups of tied values (g, b) ── running sums from the best value down ──> score (b,)

An item with count w stands for w equal rows, so that ties are the rule here, not the exception: rows with the same
value always fall on the same side of a threshold and share their mean rank.

Sources: scipy.stats.spearmanr and pearsonr; sklearn.metrics.average_precision_score; the thresholds of MTEB's pair
classification (mteb 2.26, abstasks/pair_classification.py).
Cost: O(n * b) time for a column, after one sort; a few arrays of n * b numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import IN_NO_CELL, Floats, Ints, Scorer, Sums, cell_sums, ratio, ratio_or_nan

CORRELATIONS = ("spearman", "pearson")
PAIR_METRICS = ("ap", "f1", "accuracy", "precision", "recall")


@dataclass(frozen=True, slots=True)
class _Groups:
    """Items grouped by equal values, smallest value first."""

    of_item: Ints
    n_groups: int
    sizes: Sums


def _groups(values: Floats) -> _Groups:
    distinct, of_item = np.unique(values, return_inverse=True)
    return _Groups(of_item, len(distinct), cell_sums(of_item, len(distinct)))


def _running_sums(sizes: Floats) -> Floats:
    """Return np.cumsum(sizes, axis=0) of whole numbers (g, b), which are exact in whatever order they are added."""
    if len(sizes) > sizes.shape[1]:
        return np.cumsum(sizes, axis=0)
    # NumPy goes down one column after the other; where rows are long, adding whole ones takes half the time.
    sums = sizes.copy()
    for above, row in pairwise(sums):
        row += above
    return sums


# Correlations


def correlation(predicted: Floats, gold: Floats, metric: str) -> Scorer:
    """Return the scorer of a correlation; nan on a resample in which one of the two columns is constant."""
    return _spearman(predicted, gold) if metric == "spearman" else _pearson(predicted, gold)


def _pearson(predicted: Floats, gold: Floats) -> Scorer:
    x_groups, y_groups = _groups(predicted), _groups(gold)

    def score(counts: Floats) -> Floats:
        result = _product_moment(predicted, gold, counts)
        # Rounding leaves a variance of 1e-33 where it should be 0, and any number could come out; so count the values.
        result[_is_constant(x_groups, counts) | _is_constant(y_groups, counts)] = np.nan
        return result

    return score


def _is_constant(groups: _Groups, counts: Floats) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = (groups.sizes(counts) > 0).sum(axis=0) < 2
    return constant


def _product_moment(x: Floats, y: Floats, counts: Floats) -> Floats:
    total = counts.sum(axis=0)
    # Centred on each resample's own mean: E[x²] - E[x]² would cancel when the values lie far from 0.
    dx = x[:, None] - ratio(x @ counts, total)
    dy = y[:, None] - ratio(y @ counts, total)
    covariance = _dot(counts, dx, dy)
    return np.clip(ratio_or_nan(covariance, np.sqrt(_dot(counts, dx, dx) * _dot(counts, dy, dy))), -1.0, 1.0)


def _dot(counts: Floats, left: Floats, right: Floats) -> Floats:
    product: Floats = np.einsum("ib,ib,ib->b", counts, left, right)
    return product


def _spearman(predicted: Floats, gold: Floats) -> Scorer:
    x_groups, y_groups = _groups(predicted), _groups(gold)

    def score(counts: Floats) -> Floats:
        x_ranks, x_spread = _centred_ranks(x_groups, counts)
        y_ranks, y_spread = _centred_ranks(y_groups, counts)
        covariance = _dot(counts, x_ranks[x_groups.of_item], y_ranks[y_groups.of_item])
        # Ranks are halves of whole numbers, so a constant column has a spread of exactly 0 and becomes nan.
        return np.clip(ratio_or_nan(covariance, np.sqrt(x_spread) * np.sqrt(y_spread)), -1.0, 1.0)

    return score


def _centred_ranks(groups: _Groups, counts: Floats) -> tuple[Floats, Floats]:
    """Return the rank of each group of ties less the mean rank (g, b), and the sum of its squares over rows (b,)."""
    sizes = groups.sizes(counts)
    # The s rows of a group that ends at row c have the ranks c - s + 1 to c, with mean c - (s - 1) / 2; that of all N
    # rows is (N + 1) / 2. In place, since these arrays are most of the time that a correlation takes.
    ranks = _running_sums(sizes)
    middle = ranks[-1] / 2
    ranks -= sizes / 2
    ranks -= middle
    return ranks, _dot(sizes, ranks, ranks)


# Pairs: label 0/1 against scores of which a higher one means "more alike"


def pair(label: Ints, predicted: Floats, metric: str) -> Scorer:
    """Return the scorer of a pair task: the best value over the columns of `predicted` (n, s).

    "ap" is scikit-learn's average precision. "f1", "accuracy", "precision" and "recall" are MTEB's: thresholds lie
    between two neighbouring distinct scores, so "all pairs are alike" is never tried, nor "none is"; f1 and accuracy
    are the best over the thresholds, precision and recall those at the threshold of the best f1 (the highest one).
    A resample in which all pairs have one score has no threshold and gets 0, as in MTEB.

    Ties: MTEB since 2.26 never splits rows with the same score. Before, it walked row by row, so its f1 and accuracy
    depended on the order of tied rows; a repeated row would have been split in two. This follows the newer rule.

    nan on a resample without a positive, except for "accuracy".
    """
    one_each = [_pair_column(label, column, metric) for column in _distinct_orders(predicted)]

    def score(counts: Floats) -> Floats:
        best: Floats = np.max([column_score(counts) for column_score in one_each], axis=0)
        return best

    return score


def _distinct_orders(predicted: Floats) -> list[Floats]:
    """Drop the columns that order the items, ties included, as an earlier one does: their scores are the same."""
    ranks = {np.unique(column, return_inverse=True)[1].tobytes(): column for column in predicted.T[::-1]}
    return list(ranks.values())[::-1]


@dataclass(frozen=True, slots=True)
class _Curve:
    """What lies above each threshold, thresholds from the highest value down.

    Attributes:
        positives, rows: Positives and rows with this value or a higher one (g, b).
    """

    positives: Floats
    rows: Floats


def _pair_column(label: Ints, column: Floats, metric: str) -> Scorer:
    if metric == "ap":
        return average_precision(label == 1, column)
    curve = _curve_builder(label == 1, column)
    if metric == "accuracy":
        return lambda counts: _best_accuracy(curve(counts))
    return lambda counts: _at_best_f1(curve(counts), metric)


def average_precision(positive: NDArray[np.bool_], values: Floats) -> Scorer:
    """Return the scorer of scikit-learn's average precision (tied values share a threshold); nan without a positive."""
    of_item = np.unique(-values, return_inverse=True)[1]
    # Only at these thresholds recall grows; the others add nothing to the average.
    growing = np.unique(of_item[positive])
    cells = np.searchsorted(growing, of_item)  # the first of these thresholds that an item reaches
    cells[cells == len(growing)] = IN_NO_CELL
    rows_of = cell_sums(cells, len(growing))
    positives_of = cell_sums(np.where(positive, cells, IN_NO_CELL), len(growing))

    def score(counts: Floats) -> Floats:
        new_positives = positives_of(counts)
        precision = ratio(_running_sums(new_positives), _running_sums(rows_of(counts)))
        return ratio_or_nan(np.einsum("gb,gb->b", new_positives, precision), new_positives.sum(axis=0))

    return score


def _curve_builder(positive: NDArray[np.bool_], values: Floats) -> Callable[[Floats], _Curve]:
    groups = _groups(-values)
    positives_of = cell_sums(np.where(positive, groups.of_item, IN_NO_CELL), groups.n_groups)

    def curve(counts: Floats) -> _Curve:
        return _Curve(_running_sums(positives_of(counts)), _running_sums(groups.sizes(counts)))

    return curve


def _best_accuracy(curve: _Curve) -> Floats:
    positives, rows = curve.positives[-1], curve.rows[-1]
    right_below = (rows - positives) - (curve.rows - curve.positives)
    # A value that the resample lacks repeats the threshold above it; without rows above or below it is no threshold.
    tried = (curve.rows > 0) & (curve.rows < rows)
    best: Floats = np.max(np.where(tried, ratio(curve.positives + right_below, rows), 0.0), axis=0)
    return best


def _at_best_f1(curve: _Curve, metric: str) -> Floats:
    positives, rows = curve.positives[-1], curve.rows[-1]
    tried = (curve.positives > 0) & (curve.rows < rows)
    precision = np.where(tried, ratio(curve.positives, curve.rows), 0.0)
    recall = np.where(tried, ratio(curve.positives, positives), 0.0)
    # Computed in MTEB's own way, so that two thresholds with one f1 are told apart, or not, by the same rounding.
    f1 = ratio(2 * precision * recall, precision + recall)
    best = np.argmax(f1, axis=0)[None, :]
    chosen = np.take_along_axis({"f1": f1, "precision": precision, "recall": recall}[metric], best, axis=0)[0]
    return np.where(positives > 0, chosen, np.nan)
