"""Items that are worth a look: the most unlike of every pair, the worst of every model, and of each list its first."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from benchkit.measure.item_choice import DIFFERING, WORST, items_to_look_at

NAN = float("nan")


def test_the_first_of_each_list_come_before_the_second_of_any() -> None:
    """By hand: of five items, a - b is +0.9, +0.5, -0.2, 0, 0."""
    values = {"a": np.array([1.0, 0.9, 0.7, 0.2, 1.0]), "b": np.array([0.1, 0.4, 0.9, 0.2, 1.0])}
    # For b: 2. For a: 0, 1. Worst of a: 3, 2, 1. Worst of b: 0, 3, 1, 2.
    assert items_to_look_at(values, baseline="a") == [2, 0, 3, 1]
    assert items_to_look_at(values) == [3, 0, 2, 1], "without a baseline each model's worst come first"


def test_pairs_of_the_baseline_come_first() -> None:
    one = np.ones(4)
    values = {
        "a": one,
        "b": np.array([1.0, 1.0, 0.5, 1.0]),
        "c": np.array([0.0, 1.0, 1.0, 1.0]),
    }
    assert items_to_look_at(values, baseline="c")[0] == 0
    assert items_to_look_at({"a": one, "b": values["b"]}, baseline="b") == [2]
    assert items_to_look_at(values, baseline="somebody else") == items_to_look_at(values)


def test_items_on_which_all_are_right_or_that_do_not_count_are_never_chosen() -> None:
    values = {"a": np.array([1.0, NAN, 0.5]), "b": np.array([1.0, 0.0, NAN])}
    # The second counts for b alone and is its worst; the third is a's.
    assert items_to_look_at(values) == [2, 1]
    assert items_to_look_at({"a": np.array([1.0, NAN])}) == []
    assert items_to_look_at({}) == []


def test_rounding_is_no_difference() -> None:
    assert items_to_look_at({"a": np.array([1.0]), "b": np.array([1.0 - 1e-12])}) == []


@pytest.mark.parametrize("n_models", [1, 2, 4])
def test_nothing_of_any_list_is_missing_and_nothing_else_is_there(n_models: int) -> None:
    draw = np.random.default_rng(n_models)
    values = {str(model): draw.integers(0, 30, 400) / 29 for model in range(n_models)}
    wanted: set[int] = set()
    for own in values.values():
        wanted |= set(sorted((row for row in range(400) if own[row] < 1), key=lambda row: (own[row], row))[:WORST])
    for one, two in combinations(values, 2):
        for sign in (1, -1):
            gaps = [sign * float(values[one][row] - values[two][row]) for row in range(400)]
            lost = sorted((row for row in range(400) if gaps[row] < -1e-9), key=lambda row: (round(gaps[row], 9), row))
            wanted |= set(lost[:DIFFERING])
    found = items_to_look_at(values)
    assert len(found) == len(set(found))
    assert len(wanted ^ set(found)) <= 2 * n_models, "equal differences may be apart by rounding"
