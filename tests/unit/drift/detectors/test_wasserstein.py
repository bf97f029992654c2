"""Sliced Wasserstein-1 against SciPy's, direction by direction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from benchkit.drift.detectors.wasserstein import SlicedWasserstein, sliced_wasserstein

RNG = np.random.default_rng(71)


def test_rows_that_all_move_by_five_are_five_apart() -> None:
    rows = np.array([[0.0], [1.0], [5.0], [6.0]])
    labels = np.array([[True], [True], [False], [False]])
    assert sliced_wasserstein(rows, labels, np.array([[1.0]])) == pytest.approx([5.0])


def test_every_relabelling_is_the_mean_of_scipys_distances() -> None:
    rows, directions = np.round(RNG.normal(size=(31, 3)), 1), RNG.normal(size=(3, 4))  # rounded: with ties
    labels = np.array([RNG.permutation(31) < 12 for _ in range(5)]).T
    expected = [
        np.mean([wasserstein_distance(rows[column] @ along, rows[~column] @ along) for along in directions.T])
        for column in labels.T
    ]
    assert sliced_wasserstein(rows, labels, directions) == pytest.approx(expected)


def test_a_shift_by_one_in_many_directions_is_its_mean_projection() -> None:
    # On the sphere of three dimensions a coordinate is uniform between -1 and 1, so its mean size is 1/2.
    rows = RNG.normal(size=(50, 3))
    found = SlicedWasserstein(directions=4000, permutations=19).compare(rows, rows + np.array([1.0, 0.0, 0.0]))
    assert found.statistic == pytest.approx(0.5, abs=0.03)  # 6 standard errors of 0.29 / sqrt(4000)


def test_a_change_of_spread_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(9)
    reference, current = rng.normal(size=(2, 300, 4))
    assert not SlicedWasserstein().compare(reference, current).drifted
    assert SlicedWasserstein().compare(reference, 1.5 * current).drifted


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="directions should be a whole number of at least 1, got 0"):
        SlicedWasserstein(directions=0)
    with pytest.raises(ValueError, match="max_rows should be a whole number of at least 5, got 2"):
        SlicedWasserstein(max_rows=2)
