"""The soft distance is a mixture's negative log-likelihood, and near the distance from the nearest centroid."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.frame import fit_frame
from benchkit.drift.measure_rows import measure_rows
from benchkit.drift.soft_distance import NARROWEST, SOFTNESS, soft_squares, width_of

RNG = np.random.default_rng(3)
CENTROIDS = RNG.normal(size=(7, 5)).astype(np.float32)
ROWS = RNG.normal(size=(200, 5)).astype(np.float32)


def squares() -> np.ndarray:
    return np.square(ROWS[:, None].astype(float) - CENTROIDS.astype(float)).sum(axis=2)


def test_a_row_in_the_middle_of_two_centroids_is_nearer_by_the_logarithm_of_two():
    """One from each of two: 1 - width · log 2; three away, the second one hardly counts."""
    centroids = np.array([[-1.0, 0.0], [1.0, 0.0]], np.float32)
    middle, beside = soft_squares(np.array([[0.0, 0.0], [4.0, 0.0]], np.float32), centroids, 0.5)
    assert middle == pytest.approx(1 - 0.5 * np.log(2))
    assert beside == pytest.approx(9, abs=1e-5)


def test_it_is_what_a_mixture_of_balls_says_in_float64():
    from scipy.special import logsumexp

    assert soft_squares(ROWS, CENTROIDS, 0.7) == pytest.approx(-0.7 * logsumexp(-squares() / 0.7, axis=1), abs=1e-4)


@pytest.mark.parametrize("width", [1e-4, 0.1, 3.0])
def test_it_is_at_most_the_nearest_distance_and_less_by_no_more_than_all_centroids_in_one_place(width):
    found, nearest = soft_squares(ROWS, CENTROIDS, width), squares().min(axis=1)
    assert (found <= nearest + 1e-4).all()
    assert (found >= nearest - width * np.log(len(CENTROIDS)) - 1e-4).all()


def test_far_rows_have_a_finite_distance():
    far = np.full((1, 5), 1e15, np.float32)
    assert soft_squares(far, CENTROIDS, 1e-3) == pytest.approx(5e30, rel=1e-3)


def test_the_width_is_a_share_of_what_rows_are_off_and_never_nothing():
    assert width_of(np.array([1.0, 3.0], np.float32), 2.0) == pytest.approx(2 * SOFTNESS)
    assert width_of(np.zeros(4, np.float32), 2.0) == pytest.approx(4 * NARROWEST)


def test_edges_and_rows_are_measured_alike():
    """Shares of held rows beyond each edge are those that the edges were made for."""
    rows = (3 * RNG.normal(size=(6, 8))[RNG.integers(6, size=4000)] + RNG.normal(size=(4000, 8))).astype(np.float32)
    frame = fit_frame(rows[:1000], rows[1000:], np.random.default_rng(0))
    bins = np.concatenate([block.novelty for block in measure_rows(frame, rows[1000:])])
    beyond = [(bins > place).mean() for place in range(5)]
    assert beyond == pytest.approx([0.5, 0.3, 0.2, 0.1, 0.05], abs=0.001)


def test_copies_of_few_rows_are_all_alike():
    rows = np.repeat(np.eye(5, dtype=np.float32), 100, axis=0)
    frame = fit_frame(rows[::2], rows[1::2], np.random.default_rng(0))
    assert frame.width > 0
    (block,) = measure_rows(frame, rows[1::2])
    assert np.isfinite(frame.edges).all()
    assert (block.novelty <= 1).all()
