"""Kendall's correlation and the mean of counted items on resamples; twin: SciPy on the repeated rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchkit.measure.weighted import weighted_scores
from benchkit.types.result import ItemScores


def scores_of(kind: str, metric: str, **columns: object) -> ItemScores:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    n_items = len(next(iter(arrays.values())))
    return ItemScores("test", "en", kind, metric, np.array([f"item {i}" for i in range(n_items)]), arrays)  # type: ignore[arg-type]


def tau_by_pairs(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Walk over all pairs of rows."""
    difference = not_x = not_y = 0
    for i, j in itertools.combinations(range(len(gold)), 2):
        x, y = np.sign(predicted[i] - predicted[j]), np.sign(gold[i] - gold[j])
        difference, not_x, not_y = difference + x * y, not_x + abs(x), not_y + abs(y)
    return float(difference / np.sqrt(not_x * not_y)) if not_x and not_y else float("nan")


def test_kendall_of_one_swapped_pair_of_three_is_a_third() -> None:
    # pairs: (1, 2) and (1, 3) agree, (2, 3) doesn't: (2 - 1) / 3
    scores = scores_of("regression", "kendalltau", gold=[1.0, 2.0, 3.0], predicted=[[1.0], [5.0], [4.0]])
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1]]), [1 / 3])


def test_kendall_takes_an_item_that_was_drawn_twice_as_two_rows_that_tie() -> None:
    # rows 1 1 2 3 against 1 1 5 4: 6 pairs, one of them a tie in both: 2 + 2 - 1 = 3 of 5
    scores = scores_of("regression", "kendalltau", gold=[1.0, 2.0, 3.0], predicted=[[1.0], [5.0], [4.0]])
    np.testing.assert_allclose(weighted_scores(scores, [[2, 1, 1], [0, 1, 3]]), [3 / 5, -1.0])


def test_kendall_is_the_mean_over_experiments_however_often_one_is_repeated() -> None:
    up, down = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    scores = scores_of("regression", "kendalltau", gold=up, predicted=np.array([up, up, up, down]).T)
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1], [2, 0, 1]]), [0.5, 0.5])


@pytest.mark.parametrize("seed", range(20))
def test_kendall_agrees_with_scipy_and_with_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(2, 40))
    gold = rng.integers(0, int(rng.integers(2, 20)), n_items).astype(float)
    predicted = np.round(gold[:, None] + rng.normal(0, 4, (n_items, 3)), int(rng.integers(0, 3)))
    counts = np.vstack([np.ones(n_items, int), rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=5)])
    got = weighted_scores(scores_of("regression", "kendalltau", gold=gold, predicted=predicted), counts)
    for twin in (lambda x, y: kendalltau(x, y).statistic, tau_by_pairs):
        expected = [
            np.mean([twin(np.repeat(gold, row), np.repeat(column, row)) for column in predicted.T]) for row in counts
        ]
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_kendall_is_undefined_where_a_column_is_constant() -> None:
    scores = scores_of("regression", "kendalltau", gold=[1.0, 1.0, 2.0], predicted=[[0.1], [0.2], [0.2]])
    assert np.isnan(weighted_scores(scores, [[1, 2, 0], [0, 1, 2], [3, 0, 0]])).all()


def test_kendall_of_many_rows_does_not_overflow() -> None:
    n_items = 60_000
    gold = np.arange(n_items, dtype=float)
    scores = scores_of("regression", "kendalltau", gold=gold, predicted=-gold[:, None])
    np.testing.assert_allclose(weighted_scores(scores, np.ones((1, n_items), int)), [-1.0])


@pytest.mark.parametrize("metric", ["mae", "mse", "rmse", "r2"])
def test_errors_are_refused_because_less_of_them_is_better(metric: str) -> None:
    scores = scores_of("regression", metric, gold=[1.0, 2.0], predicted=[[1.0], [2.0]])
    with pytest.raises(ValueError, match=f"unknown metric '{metric}' for kind 'regression'; allowed: kendalltau"):
        weighted_scores(scores, [[1, 1]])


def test_mean_leaves_out_items_that_do_not_count() -> None:
    scores = scores_of("mean", "cosine_spearman", value=[0.5, 0.0, 1.0], counted=[1, 0, 1])
    got = weighted_scores(scores, [[1, 1, 1], [3, 9, 1], [0, 3, 0]])
    np.testing.assert_allclose(got, [0.75, 2.5 / 4, np.nan])


@pytest.mark.parametrize(
    ("counted", "message"),
    [([1, 2, 0], "column 'counted' should hold 0 and 1 only"), ([1, 0], r"column 'counted' should have shape \(3,\)")],
)
def test_a_column_that_does_not_say_what_counts_is_refused(counted: list[int], message: str) -> None:
    scores = scores_of("mean", "cosine_spearman", value=[0.5, 0.0, 1.0], counted=counted)
    with pytest.raises(ValueError, match=message):
        weighted_scores(scores, [[1, 1, 1]])
