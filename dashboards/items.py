"""Items of a task: how well each model did on each, and what it answered where that is known.

    items.parquet ── values ──> a number for each item, 1 = right; none for types whose items have none
    two models ── beside ──> one row for each item: both numbers, their difference, and text where a report keeps it
    a model's list of worst items ── answers ──> text, expected, found, by item

A report keeps the texts of the worst ten items of each model and task alone. Of a type whose score is of all items
together, "closeness of places" tells how near an item's place among all is to where people put it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.types.result import CellResult, ItemKind, ItemScores, WorstItem

Floats = NDArray[np.float64]
Answers = Mapping[str, WorstItem]

# What the number of an item is; kinds that aren't here have none.
MEANING: Mapping[ItemKind, str] = {
    "mean": "the item's own score",
    "classification": "share of the experiments that were right",
    "multilabel": "share of the labels that were right, over all experiments",
    "bitext": "1 where the right sentence was found, else 0",
    "correlation": "closeness of places: 1 where the model puts it where people put it, 0 at the other end",
    "regression": "closeness of places: 1 where the model puts it at the place of its true value, 0 at the other end",
}
PLACED: tuple[ItemKind, ...] = ("correlation", "regression")
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Beside:
    """An item and what two models made of it; an answer is None where no report keeps it.

    Attributes:
        raw: Of correlations and regressions: the true number, and what each model made of it.
    """

    split: str
    subset: str
    item: str
    first: float
    second: float
    first_answer: WorstItem | None
    second_answer: WorstItem | None
    raw: tuple[float, float, float] | None = None

    @property
    def difference(self) -> float:
        """First minus second."""
        return self.first - self.second

    @property
    def known(self) -> WorstItem | None:
        """Its text and what was expected, from whichever model has it."""
        return self.first_answer or self.second_answer


# ---------------------------------------------------------------- numbers


def values(part: ItemScores) -> Floats | None:
    """Return how well a model did on each item (n,), nan where an item doesn't count; None where items have no number.

    >>> columns = {"label": np.array([1, 2]), "predicted": np.array([[1, 1], [2, 3]])}
    >>> values(ItemScores("test", "en", "classification", "f1", np.array(["a", "b"]), columns)).tolist()
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
        return _closeness(_middle(part), columns["gold"])
    return None


def _middle(part: ItemScores) -> Floats:
    """Return what a model made of each item, over its experiments."""
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


# ---------------------------------------------------------------- two models


def beside(
    first: Sequence[ItemScores], second: Sequence[ItemScores], first_answers: Answers, second_answers: Answers
) -> list[Beside]:
    """Return the items of both, most unlike first; none of a split or subset that the two don't share item by item."""
    others = {(part.split, part.subset): part for part in second}
    found: list[Beside] = []
    for part in first:
        other = others.get((part.split, part.subset))
        if other is None or other.kind != part.kind or not np.array_equal(part.items, other.items):
            continue
        mine, its = values(part), values(other)
        if mine is None or its is None:
            continue
        names = part.items.tolist()
        found += [
            Beside(part.split, part.subset, item, one, two, first_answers.get(item), second_answers.get(item), raw)
            for item, one, two, raw in zip(names, mine.tolist(), its.tolist(), _raw(part, other), strict=True)
            if not (math.isnan(one) or math.isnan(two))
        ]
    return sorted(found, key=lambda row: -abs(row.difference))


def _raw(part: ItemScores, other: ItemScores) -> Sequence[tuple[float, float, float] | None]:
    if part.kind not in PLACED:
        return [None] * part.n_items
    columns = (part.columns["gold"], _middle(part), _middle(other))
    return list(zip(*(column.astype(np.float64).tolist() for column in columns), strict=True))


def answers(cell: CellResult | None, parts: Sequence[ItemScores]) -> dict[str, WorstItem]:
    """Return the texts of a model's worst items by item.

    A report names them without their split and subset. One whose name is in several of these, or whose score is
    another one than the list says, is left out: its text could be another item's.
    """
    if cell is None:
        return {}
    counts = Counter(item for part in parts for item in part.items.tolist())
    scores = {item: value for part in parts for item, value in _named(part)}
    return {
        worst.item: worst
        for worst in cell.worst
        if not parts or (counts[worst.item] == 1 and abs(scores.get(worst.item, worst.value) - worst.value) < _SAME)
    }


def _named(part: ItemScores) -> list[tuple[str, float]]:
    own = values(part)
    return [] if own is None else list(zip(part.items.tolist(), own.tolist(), strict=True))
