"""Fréchet distance against SciPy's matrix root, a formula by hand, and covariances that are singular."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from benchkit.drift.detectors.frechet import FrechetDistance, frechet_distance, frechet_distances

RNG = np.random.default_rng(51)


def textbook(reference: np.ndarray, current: np.ndarray) -> float:
    first, second = (np.cov(rows, rowvar=False) for rows in (reference, current))
    means = reference.mean(axis=0) - current.mean(axis=0)
    return float(means @ means + np.trace(first + second - 2 * np.real(sqrtm(first @ second))))


def test_distance_of_two_normals_on_a_line_is_by_their_means_and_deviations() -> None:
    assert frechet_distance(np.zeros(1), np.eye(1), np.array([3.0]), 4 * np.eye(1)) == pytest.approx(10.0)


def test_compare_gives_the_textbook_figure_when_all_directions_are_taken() -> None:
    reference, current = RNG.normal(size=(60, 4)) @ RNG.normal(size=(4, 4)), RNG.normal(size=(50, 4)) + 0.5
    found = FrechetDistance(components=None, permutations=19).compare(reference, current)
    assert found.statistic == pytest.approx(textbook(reference, current))
    assert FrechetDistance(permutations=19).compare(reference, current).statistic == pytest.approx(found.statistic)


def test_every_relabelling_is_the_textbook_figure_of_its_rows() -> None:
    rows = RNG.normal(size=(40, 3))
    rows -= rows.mean(axis=0)
    labels = np.array([RNG.permutation(40) < 15 for _ in range(8)]).T
    expected = [textbook(rows[column], rows[~column]) for column in labels.T]
    assert frechet_distances(rows, labels) == pytest.approx(expected)


def test_fewer_rows_than_dimensions_still_give_a_real_distance() -> None:
    reference, current = RNG.normal(size=(8, 30)), RNG.normal(size=(9, 30))
    found = FrechetDistance(components=None, permutations=19).compare(reference, current)
    # The nuclear norm of the cross product is the trace of the root, another way round.
    ours, theirs = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (reference, current))
    shared = np.linalg.svd(ours @ theirs.T, compute_uv=False).sum()
    means = np.square(reference.mean(axis=0) - current.mean(axis=0)).sum()
    assert found.statistic == pytest.approx(means + (ours**2).sum() + (theirs**2).sum() - 2 * shared)


def test_distance_is_zero_of_the_same_and_the_same_both_ways() -> None:
    covariance, other = (np.cov(RNG.normal(size=(9, 20)), rowvar=True) for _ in range(2))
    mean = RNG.normal(size=9)
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0.0, abs=1e-7)
    there = frechet_distance(mean, covariance, np.zeros(9), other)
    assert there == pytest.approx(frechet_distance(np.zeros(9), other, mean, covariance))


def test_a_change_of_correlation_alone_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=(2, 300, 3))
    assert not FrechetDistance().compare(reference, current).drifted
    turned = current @ np.linalg.cholesky(np.array([[1, 0.7, 0], [0.7, 1, 0], [0, 0, 1]])).T
    assert FrechetDistance().compare(reference, turned).drifted


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="components should be a whole number of at least 1, got 0"):
        FrechetDistance(components=0)
    with pytest.raises(ValueError, match="permutations should be a whole number of at least 1, got 0"):
        FrechetDistance(permutations=0)
