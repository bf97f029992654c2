"""How well a model did on each item, where an item has a number of its own: 1 = right.

    ItemScores ── item_values ──> (n,)

    kind                     value of an item
    mean                     its own score
    classification           share of the experiments that were right
    multilabel               share of the labels that were right, over all experiments
    bitext                   1 where the right sentence was found, else 0
    correlation, regression  closeness of places: 1 - |place among the predicted - place among the true| / (n - 1)
    pair, clustering         none: the score is one of all items together

Closeness of places is no part of the score of a correlation; it says where the model and people disagree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.types.result import ItemKind, ItemScores

Floats = NDArray[np.float64]

PLACED: tuple[ItemKind, ...] = ("correlation", "regression")
_SAME = 1e-9  # values are means of a few numbers; what is closer differs by rounding


def item_values(part: ItemScores) -> Floats | None:
    """Return how well a model did on each item (n,), nan where an item doesn't count; None where items have no number.

    >>> columns = {"label": np.array([1, 2]), "predicted": np.array([[1, 1], [2, 3]])}
    >>> item_values(ItemScores("test", "en", "classification", "f1", np.array(["a", "b"]), columns)).tolist()
    [1.0, 0.5]
    """
    columns = part.columns
    if part.kind == "mean":
        own = columns["value"].astype(np.float64)
        return np.where(columns["counted"].astype(bool), own, np.nan) if "counted" in columns else own
    if part.kind in ("classification", "bitext"):
        truth = columns["label" if part.kind == "classification" else "gold"]
        return _share(_rows(columns["predicted"]) == truth[:, None])
    if part.kind == "multilabel":
        predicted = _rows(columns["predicted"])
        labels = np.tile(columns["label"], predicted.shape[1] // columns["label"].shape[1])
        return _share(predicted == labels)
    if part.kind in PLACED:
        return _closeness(middle(part), columns["gold"])
    return None


def lost_none(candidate: ItemScores, baseline: ItemScores) -> bool:
    """Say whether the candidate did worse on no item; False where items have no score of their own.

    >>> values = [{"value": np.array(own)} for own in ([1.0, 0.5], [0.4, 0.5])]
    >>> better, worse = (ItemScores("test", "en", "mean", "hit", np.array(["a", "b"]), own) for own in values)
    >>> lost_none(better, worse), lost_none(worse, better)
    (True, False)
    """
    if candidate.kind in PLACED:
        return False  # a closeness of places is no part of the score
    new, old = item_values(candidate), item_values(baseline)
    return new is not None and old is not None and not bool((new < old - _SAME).any())


def middle(part: ItemScores) -> Floats:
    """Return what a model made of each item of a correlation or regression, over its experiments (n,)."""
    return np.asarray(_rows(part.columns["predicted"]).mean(axis=1), dtype=np.float64)


def _share(right: NDArray[np.bool_]) -> Floats:
    return np.asarray(right.mean(axis=1), dtype=np.float64)


def _rows(column: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a column as (n, experiments)."""
    return column.reshape(len(column), -1)


def _closeness(predicted: NDArray[np.generic], gold: NDArray[np.generic]) -> Floats:
    far = np.abs(_places(predicted) - _places(gold))
    return 1.0 - far / max(1, len(far) - 1)


def _places(numbers: NDArray[np.generic]) -> Floats:
    """Return the place of each number among all, from 0; equal ones share the mean of their places.

    >>> _places(np.array([3.0, 1.0, 3.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middles: Floats = (ends - counts + ends - 1) / 2
    return middles[inverse]
