"""The score of a task on resamples of its items, exactly as its metric would give it on the resampled data.

    ItemScores ── scorer ──────────┐
    weights (B, n): how often each ┴─ in pieces ──> (B,) scores
    item is in each resample

One function for each kind of item scores (see the table in `types.result`); the test twin is scikit-learn or SciPy on
np.repeat(data, weights).

Undefined scores are nan: a resample without items, or without any that counts; a correlation (Kendall's too) in which a
column is constant; "ap", "f1", "precision" and "recall" of pairs, and "ap" of classification, without a positive; a
clustering experiment that is left without items.
Cost: O(B * n) time for each column, for Kendall's correlation times log(distinct values); pieces keep the memory below
100 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchkit.measure import weighted_labels as labels
from benchkit.measure import weighted_rank as rank
from benchkit.measure.cells import Floats, Ints, Scorer, ratio_or_nan
from benchkit.measure.weighted_regression import REGRESSION_METRICS, regression
from benchkit.types.result import ItemScores

PIECE_ELEMENTS = 2**17  # items * resamples at a time: 1 MiB for each of about ten arrays

Columns = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind needs: its metrics, its columns with their number of axes, and the maker of its scorer."""

    metrics: tuple[str, ...]
    axes: Mapping[str, int]
    make: Callable[[Columns, str], Scorer]


def _mean(values: Floats) -> Scorer:
    def score(counts: Floats) -> Floats:
        means: Floats = values @ counts / counts.sum(axis=0)
        return means

    return score


def _mean_of_counted(values: Floats, counted: Floats) -> Scorer:
    return lambda counts: ratio_or_nan((values * counted) @ counts, counted @ counts)


def _floats(columns: Columns, name: str) -> Floats:
    return columns[name].astype(np.float64)


def _ints(columns: Columns, name: str) -> Ints:
    return columns[name].astype(np.int64)


KINDS: Mapping[str, _Kind] = {
    "mean": _Kind(
        (),
        {"value": 1},
        lambda c, _: (
            _mean_of_counted(_floats(c, "value"), _floats(c, "counted"))
            if "counted" in c
            else _mean(_floats(c, "value"))
        ),
    ),
    "correlation": _Kind(
        rank.CORRELATIONS,
        {"predicted": 1, "gold": 1},
        lambda c, metric: rank.correlation(_floats(c, "predicted"), _floats(c, "gold"), metric),
    ),
    "pair": _Kind(
        rank.PAIR_METRICS,
        {"label": 1, "predicted": 2},
        lambda c, metric: rank.pair(_ints(c, "label"), _floats(c, "predicted"), metric),
    ),
    "classification": _Kind(
        labels.CLASSIFICATION_METRICS,
        {"label": 1, "predicted": 2},
        lambda c, metric: labels.classification(_ints(c, "label"), _ints(c, "predicted"), metric),
    ),
    "multilabel": _Kind(
        labels.MULTILABEL_METRICS,
        {"label": 2, "predicted": 2},
        lambda c, _: labels.multilabel(_ints(c, "label"), _ints(c, "predicted")),
    ),
    "clustering": _Kind(
        labels.CLUSTERING_METRICS,
        {"label": 2, "cluster": 2, "draws": 2},
        lambda c, _: labels.clustering(_ints(c, "label"), _ints(c, "cluster"), _ints(c, "draws")),
    ),
    "bitext": _Kind(
        labels.BITEXT_METRICS,
        {"gold": 1, "predicted": 1},
        lambda c, metric: labels.bitext(_ints(c, "gold"), _ints(c, "predicted"), metric),
    ),
    "regression": _Kind(
        REGRESSION_METRICS,
        {"gold": 1, "predicted": 2},
        lambda c, _: regression(_floats(c, "gold"), _floats(c, "predicted")),
    ),
}


def weighted_scores(scores: ItemScores, weights: ArrayLike) -> Floats:
    """Return the score of each resample (B,), nan where it is not defined.

    Args:
        scores: What the score is made of, n items.
        weights: How often each item is in each resample, whole numbers (B, n).

    Raises:
        ValueError: the columns don't fit the kind, the metric is not one of the kind's, or the weights are no counts.

    >>> quality = ItemScores("test", "en", "mean", "ndcg", np.array(["a", "b"]), {"value": np.array([0.0, 1.0])})
    >>> weighted_scores(quality, [[1, 1], [3, 1]]).tolist()
    [0.5, 0.25]
    """
    return scorer(scores)(np.asarray(weights))


def scorer(scores: ItemScores) -> Callable[[NDArray[np.generic]], Floats]:
    """Prepare (sort, number the labels) once, and return the function from weights (B, n) to scores (B,)."""
    make = _check_columns(scores).make
    score = make(scores.columns, scores.metric)
    n_items = scores.n_items

    def in_pieces(weights: NDArray[np.generic]) -> Floats:
        if weights.ndim != 2 or weights.shape[1] != n_items:
            raise ValueError(f"weights should have shape (resamples, {n_items}), have {weights.shape}")
        step = max(1, PIECE_ELEMENTS // n_items)
        pieces = [_piece(score, weights[start : start + step]) for start in range(0, len(weights), step)]
        return np.concatenate([np.empty(0), *pieces])

    return in_pieces


def _piece(score: Scorer, weights: NDArray[np.generic]) -> Floats:
    counts = np.ascontiguousarray(weights.T, dtype=np.float64)
    # Unsigned integers, the counts of a known resample, can be nothing else.
    if weights.dtype.kind != "u" and not _are_counts(weights):
        raise ValueError("weights should be whole numbers, 0 or more: how often each item is in the resample")
    result = np.full(counts.shape[1], np.nan)
    filled = weights.any(axis=1)  # the first item that isn't 0 ends the search in its row
    result[filled] = score(counts if filled.all() else counts[:, filled])
    return result


def _are_counts(weights: NDArray[np.generic]) -> bool:
    whole = weights.dtype.kind == "i" or np.array_equal(weights, np.rint(weights))
    return whole and weights.min() >= 0


# Refusals: a column that doesn't fit would give a number, and a wrong one


def _check_columns(scores: ItemScores) -> _Kind:
    where = f"{scores.split}/{scores.subset}"
    if scores.kind not in KINDS:
        raise ValueError(f"{where}: unknown kind {scores.kind!r}; known: {', '.join(KINDS)}")
    kind = KINDS[scores.kind]
    if kind.metrics and scores.metric not in kind.metrics:
        allowed = ", ".join(kind.metrics)
        raise ValueError(f"{where}: unknown metric {scores.metric!r} for kind {scores.kind!r}; allowed: {allowed}")
    if scores.n_items == 0:
        raise ValueError(f"{where}: no items")
    for name, axes in kind.axes.items():
        _check_column(scores, name, axes, where)
    if scores.kind == "mean" and "counted" in scores.columns:
        _check_column(scores, "counted", 1, where)
        if not np.isin(scores.columns["counted"], (0, 1)).all():
            raise ValueError(f"{where}: column 'counted' should hold 0 and 1 only")
    _check_widths(scores, where)
    return kind


def _check_column(scores: ItemScores, name: str, axes: int, where: str) -> None:
    if name not in scores.columns:
        found = ", ".join(scores.columns) or "none"
        raise ValueError(f"{where}: kind {scores.kind!r} needs a column {name!r}; found: {found}")
    column = scores.columns[name]
    if column.ndim != axes or len(column) != scores.n_items or column.size == 0:
        wanted = f"({scores.n_items},)" if axes == 1 else f"({scores.n_items}, one or more)"
        raise ValueError(f"{where}: column {name!r} should have shape {wanted}, has {column.shape}")
    if bad := int((~np.isfinite(column.astype(np.float64))).sum()):
        raise ValueError(f"{where}: column {name!r} has {bad} values that are not finite")


def _check_widths(scores: ItemScores, where: str) -> None:
    columns = scores.columns
    if scores.kind in ("multilabel", "clustering"):
        first, rest = "label", ("predicted",) if scores.kind == "multilabel" else ("cluster", "draws")
        width = columns[first].shape[1]
        widths = {columns[name].shape[1] for name in rest}
        if len(widths) > 1 or any(wide % width for wide in widths):
            found = ", ".join(f"{name!r} {columns[name].shape[1]}" for name in (first, *rest))
            raise ValueError(f"{where}: numbers of columns don't fit together: {found}")
    if scores.kind in ("pair", "multilabel") and not np.isin(columns["label"], (0, 1)).all():
        raise ValueError(f"{where}: column 'label' should hold 0 and 1 only")
    if scores.kind == "multilabel" and not np.isin(columns["predicted"], (0, 1)).all():
        raise ValueError(f"{where}: column 'predicted' should hold 0 and 1 only")
