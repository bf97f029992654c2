"""The frame: what is live, what is dead, where clusters are."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.frame import _tree, _ward, fit_frame
from benchkit.drift.measure_rows import measure_rows


def clouds(n_rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, dimension))
    return (centres[rng.integers(5, size=n_rows)] + 0.3 * rng.normal(size=(n_rows, dimension))).astype(np.float32)


def frame_of(rows: np.ndarray) -> object:
    cut = len(rows) // 4
    return fit_frame(rows[:cut], rows[cut:], np.random.default_rng(0))


def test_directions_are_those_of_numpy_and_fall_by_variance():
    rows = clouds(2000, 12)
    frame = fit_frame(rows[:500], rows[500:], np.random.default_rng(0))
    _, _, expected = np.linalg.svd(rows[:500] - rows[:500].mean(axis=0), full_matrices=False)
    assert np.abs(np.abs(np.sum(frame.basis * expected, axis=1)) - 1).max() < 1e-2  # int8
    assert np.abs(frame.basis @ frame.basis.T - np.eye(12)).max() < 0.02


def test_dead_dimensions_are_found_and_are_in_no_live_direction():
    rows = clouds(800, 10)
    rows[:, [3, 7]] = 0.25
    frame = fit_frame(rows[:200], rows[200:], np.random.default_rng(0))
    assert frame.n_dead == 2
    assert len(frame.directions) == 8
    assert not frame.directions[:, [3, 7]].any()
    assert np.abs(np.square(frame.dead[:, [3, 7]]).sum(axis=1) - 1).max() < 1e-6


def test_directions_that_only_the_small_frame_does_not_see_are_not_dead():
    rows = clouds(160, 60)  # 40 rows of the frame span 39 of 60 dimensions
    frame = fit_frame(rows[:40], rows[40:], np.random.default_rng(0))
    assert frame.n_dead == 0
    assert len(frame.directions) == 39


def test_dead_directions_of_few_rows_are_dead():
    rows = clouds(160, 60)
    rows[:, 50:] = 0
    frame = fit_frame(rows[:40], rows[40:], np.random.default_rng(0))
    assert frame.n_dead == 10


def test_rows_that_are_one_vector_are_refused():
    rows = np.full((200, 4), 0.5, np.float32)
    with pytest.raises(ValueError, match="all rows of the baseline are the same vector"):
        frame_of(rows)


@pytest.mark.parametrize("other", [0, 199], ids=["of the frame", "of the others"])
def test_one_row_that_differs_makes_no_baseline_and_the_message_is_true(other: int) -> None:
    rows = np.full((200, 4), 0.5, np.float32)
    rows[other] = 1, 2, 3, 4
    with pytest.raises(ValueError, match="all rows of the baseline are the same vector, or nearly all"):
        frame_of(rows)


def test_rows_whose_squares_float32_cannot_hold_are_refused_and_a_little_larger_ones_are_not() -> None:
    rows = clouds(400, 6)
    with pytest.raises(ValueError, match=r"numbers differ by .*e-20 at the most, and 1e-15 is the least"):
        frame_of(rows * np.float32(1e-20))
    assert len(frame_of(rows * np.float32(1e-14)).edges) == len(frame_of(rows).edges)


def test_five_distinct_rows_make_no_more_than_five_clusters():
    rows = np.repeat(np.eye(5, dtype=np.float32), 100, axis=0)
    frame = fit_frame(rows[::2], rows[1::2], np.random.default_rng(0))
    assert 2 <= len(frame.centroids) <= 5


def test_the_nearest_centroid_is_that_of_the_double_loop():
    rows = clouds(900, 6)
    frame = fit_frame(rows[:300], rows[300:], np.random.default_rng(0))
    centroids = frame.centroids.astype(np.float64)
    expected = [
        min(range(len(centroids)), key=lambda k: np.square(row - frame.mean - centroids[k]).sum()) for row in rows
    ]
    found = np.concatenate([block.cluster.copy() for block in measure_rows(frame, rows)])
    assert np.array_equal(found, expected)


def test_ward_joins_the_two_that_cost_least():
    # On a line: 0 and 1 are nearest; then 10 joins 12 (cost 2, against 10²-ish for the others).
    merges = _ward(np.array([[0.0], [10.0], [1.0], [12.0]]), np.array([1, 1, 1, 1]))
    assert merges.tolist() == [[0, 2], [1, 3], [0, 1]]


def test_ward_weighs_by_rows():
    # 0 and 2 lie nearer, but both are heavy: 100 * 100 / 200 * 4 = 200 against 1 * 100 / 101 * 9 = 8.9.
    merges = _ward(np.array([[0.0], [2.0], [5.0]]), np.array([100, 100, 1]))
    assert merges[0].tolist() == [1, 2]


def test_the_tree_goes_by_directions_and_not_by_places():
    # Two topics along two axes, each with a wide cluster near the middle: by places the two wide ones are nearest.
    centres, counts = np.array([[9.0, 0.0], [1.0, 0.0], [0.0, 9.0], [0.0, 1.0]]), np.ones(4, np.int64)
    assert _tree(centres, counts).tolist() == [[0, 1], [2, 3], [0, 2]]
    assert _ward(centres, counts)[0].tolist() == [1, 3]


def test_a_cluster_in_the_middle_has_a_place_in_the_tree():
    merges = _tree(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 0.1]]), np.ones(3, np.int64))
    assert merges.tolist() == [[1, 2], [0, 1]]


def test_a_centre_of_fewer_than_five_rows_is_left_out():
    """A baseline may have no row there, and then one row of a window would look strange."""
    rows = clouds(2000, 12)
    rows[:3] += 50 * np.eye(12, dtype=np.float32)[:3]
    frame = fit_frame(rows[:500], rows[500:], np.random.default_rng(0))
    assert np.linalg.norm(frame.centroids.astype(float), axis=1).max() < 10


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e3, 1e9])
def test_centres_have_the_digits_of_the_rows_whatever_the_unit(scale):
    """A float16 has none below 6e-8, and ends at 65,504."""
    rows = clouds(400, 6)
    usual, scaled = frame_of(rows), frame_of(rows * np.float32(scale))
    assert np.abs(scaled.centroids.astype(float) / scale - usual.centroids).max() < 0.01


def test_a_few_rows_far_beyond_all_others_are_drawn_in():
    """Eleven rows are 30 times as far as any other: twice as far as the farthest other is as far as rows go."""
    rows = clouds(2000, 12)
    usual = frame_of(rows).radius
    rows[-11:] *= 30
    radius = frame_of(rows).radius
    others = np.linalg.norm(rows[500:-11] - rows[:500].mean(axis=0), axis=1)
    assert radius == pytest.approx(2 * others.max(), rel=1e-4)
    before = np.linalg.norm(clouds(2000, 12)[500:] - rows[:500].mean(axis=0), axis=1)
    assert usual == pytest.approx(before.max(), rel=1e-4)


def test_enough_rows_far_beyond_all_others_stay_where_they_are():
    rows = clouds(2000, 12)
    rows[-12:] *= 30
    assert frame_of(rows).radius == pytest.approx(
        np.linalg.norm(rows[500:] - rows[:500].mean(axis=0), axis=1).max(), rel=1e-4
    )


def test_measures_of_the_frame_are_of_rows_that_were_drawn_in():
    """One wild row of 1,500 would make the variance of a direction hundreds of times that of all others."""
    rows = clouds(2000, 12)
    usual = frame_of(rows).variances
    rows[-1] *= 1000
    assert frame_of(rows).variances == pytest.approx(usual, rel=0.1)


def test_copies_of_one_vector_with_few_others_have_a_radius():
    rows = np.zeros((400, 3), np.float32)
    rows[:, 0] = 1
    rows[[5, 50, 200, 300]] = np.eye(3, dtype=np.float32)[[1, 2, 1, 2]]
    assert frame_of(rows).radius > 0
    rows[5] = rows[50] = rows[0]
    rows[7] = [1, 1e-3, 0]
    assert frame_of(rows).radius > 0
