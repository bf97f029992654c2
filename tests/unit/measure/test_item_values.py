"""The number of an item says how right a model was on it, on one scale for every type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchkit.measure.item_values import item_values, middle
from benchkit.types.result import ItemKind, ItemScores


def part(kind: ItemKind = "mean", *, names: Sequence[str] = ("a", "b", "c"), **columns: object) -> ItemScores:
    made = {name: np.array(values) for name, values in columns.items()}
    return ItemScores("test", "default", kind, "m", np.array(names), made)


def test_a_mean_has_the_own_scores_of_its_items_and_those_that_do_not_count_are_nan() -> None:
    assert item_values(part(value=[0.5, 0.0, 1.0])).tolist() == [0.5, 0.0, 1.0]
    found = item_values(part(value=[0.5, 0.0, 1.0], counted=[1, 0, 1]))
    np.testing.assert_array_equal(found, [0.5, np.nan, 1.0])


def test_labels_are_right_in_a_share_of_the_experiments() -> None:
    found = item_values(part("classification", label=[1, 2, 3], predicted=[[1, 1], [2, 0], [0, 0]]))
    assert found.tolist() == [1.0, 0.5, 0.0]
    assert item_values(part("bitext", gold=[0, 1, 2], predicted=[0, 2, 2])).tolist() == [1.0, 0.0, 1.0]
    # Two experiments on two labels: the first is right on both, the second on one.
    several = part("multilabel", names=["a"], label=[[1, 0]], predicted=[[1, 0, 0, 0]])
    assert item_values(several).tolist() == [0.75]


def test_closeness_of_places_is_one_at_the_true_place_and_zero_at_the_other_end() -> None:
    reversed_ = part("correlation", predicted=[3.0, 2.0, 1.0], gold=[1.0, 2.0, 3.0])
    assert item_values(reversed_).tolist() == [0.0, 1.0, 0.0]
    # Any increasing scale gives the same places: models' similarities differ in theirs.
    scaled = part("correlation", predicted=[0.1, 0.2, 90.0], gold=[1.0, 2.0, 3.0])
    assert item_values(scaled).tolist() == [1.0, 1.0, 1.0]


def test_closeness_of_places_agrees_with_counting_them() -> None:
    draw = np.random.default_rng(1)
    predicted, gold = draw.integers(0, 9, 40).astype(float), draw.integers(0, 5, 40).astype(float)

    def place(numbers: np.ndarray, one: float) -> float:
        return float((numbers < one).sum() + ((numbers == one).sum() - 1) / 2)

    twin = [1 - abs(place(predicted, one) - place(gold, true)) / 39 for one, true in zip(predicted, gold, strict=True)]
    names = [str(row) for row in range(40)]
    found = item_values(part("regression", names=names, predicted=predicted[:, None], gold=gold))
    np.testing.assert_allclose(found, twin)


def test_what_a_model_made_of_an_item_is_the_mean_over_its_experiments() -> None:
    assert middle(part("regression", predicted=[[1.0, 3.0], [2.0, 2.0], [0.0, 1.0]])).tolist() == [2.0, 2.0, 0.5]


def test_types_whose_score_is_of_all_items_together_have_no_numbers() -> None:
    assert item_values(part("pair", label=[0, 1, 1], predicted=[[0.1], [0.2], [0.3]])) is None
    assert item_values(part("clustering", label=[[0], [1], [1]], cluster=[[0], [1], [1]])) is None
