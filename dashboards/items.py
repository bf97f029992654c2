"""Items of a task: how well each model did on each, and what it answered where that is kept.

    items.parquet ── item_values ──> a number for each item, 1 = right; none for types whose items have none
    answers.parquet, a model's worst items ── answers ──> text, expected, found, by item
    two models ── beside ──> one row for each item: both numbers, their difference, and its answers

A result keeps the answers to the items on which its models differ most, and each model's ten worst. Of a type whose
score is of all items together, "closeness of places" tells how near an item's place among all is to where people put
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchkit.measure.item_values import PLACED, item_values, middle
from benchkit.types.answer import Answers, ItemAnswer, KeptItem
from benchkit.types.gate import Neighbour
from benchkit.types.result import CellResult, ItemKind, ItemScores, WorstItem

# What the number of an item is; kinds that aren't here have none.
MEANING: Mapping[ItemKind, str] = {
    "mean": "the item's own score",
    "classification": "share of the experiments that were right",
    "multilabel": "share of the labels that were right, over all experiments",
    "bitext": "1 where the right sentence was found, else 0",
    "correlation": "closeness of places: 1 where the model puts it where people put it, 0 at the other end",
    "regression": "closeness of places: 1 where the model puts it at the place of its true value, 0 at the other end",
}
_SAME = 1e-9
_SHOWN = 10  # of an answer; a result keeps fewer, and a file may have been made by anybody


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
    first_answer: ItemAnswer | None
    second_answer: ItemAnswer | None
    raw: tuple[float, float, float] | None = None

    @property
    def difference(self) -> float:
        """First minus second."""
        return self.first - self.second

    @property
    def known(self) -> ItemAnswer | None:
        """Its text and what was expected, from whichever model has it."""
        return self.first_answer or self.second_answer


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
        mine, its = item_values(part), item_values(other)
        if mine is None or its is None:
            continue
        found += [
            Beside(part.split, part.subset, key[1], one, two, first_answers.get(key), second_answers.get(key), raw)
            for key, one, two, raw in zip(_keys(part), mine.tolist(), its.tolist(), _raw(part, other), strict=True)
            if not (math.isnan(one) or math.isnan(two))
        ]
    return sorted(found, key=lambda row: -abs(row.difference))


def _raw(part: ItemScores, other: ItemScores) -> Sequence[tuple[float, float, float] | None]:
    if part.kind not in PLACED:
        return [None] * part.n_items
    columns = (part.columns["gold"], middle(part), middle(other))
    return list(zip(*(column.astype(np.float64).tolist() for column in columns), strict=True))


def answers(
    model: str, cell: CellResult | None, parts: Sequence[ItemScores], kept: Sequence[KeptItem] | None
) -> Answers:
    """Return what a model answered, as far as a result keeps it."""
    told = {
        (one.place, one.item): ItemAnswer(one.text, one.expected, one.found[model])
        for one in kept or ()
        if model in one.found
    }
    return {**_of_worst(cell, parts), **told}


def _of_worst(cell: CellResult | None, parts: Sequence[ItemScores]) -> Answers:
    """Return the texts of a model's worst items.

    A report names them without their split and subset. One whose name is in several of these, or whose score is
    another one than the list says, is left out: its text could be another item's.
    """
    if cell is None:
        return {}
    scores = {key: value for part in parts for key, value in _named(part)}
    places: dict[str, list[str]] = {}
    for place, item in (key for part in parts for key in _keys(part)):
        places.setdefault(item, []).append(place)
    found: dict[tuple[str, str], ItemAnswer] = {}
    for worst in cell.worst:
        at = places.get(worst.item, []) if parts else [""]
        if len(at) == 1 and abs(scores.get((at[0], worst.item), worst.value) - worst.value) < _SAME:
            found[at[0], worst.item] = of_worst(worst)
    return found


def of_worst(worst: WorstItem) -> ItemAnswer:
    """Return an item of a report's list as an answer; of a ranking the list has the first document alone."""
    return ItemAnswer(worst.text, worst.expected, (Neighbour(worst.found),), worst.value)


def found_lines(answer: ItemAnswer) -> list[str]:
    """Return what a model answered, a line for each, with a mark at what was expected.

    >>> found_lines(ItemAnswer("q", "b", (Neighbour("a", 0.9, False), Neighbour("b", 0.8, True))))
    ['1. a (0.900)', '2. ✓ b (0.800)']
    >>> found_lines(ItemAnswer("q", "b", (Neighbour("a"),)))
    ['a']
    """
    told = [
        ("✓ " if one.correct else "") + one.text + (f" ({one.score:.3f})" if one.score is not None else "")
        for one in answer.found[:_SHOWN]
    ]
    return told if len(told) < 2 else [f"{rank}. {one}" for rank, one in enumerate(told, 1)]


def _keys(part: ItemScores) -> list[tuple[str, str]]:
    return [(f"{part.split}/{part.subset}", item) for item in part.items.tolist()]


def _named(part: ItemScores) -> list[tuple[tuple[str, str], float]]:
    own = item_values(part)
    return [] if own is None else list(zip(_keys(part), own.tolist(), strict=True))
