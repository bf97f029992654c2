"""The plane: its axes are the baseline's, its sample is the same in any partition, and no row can break it."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from benchkit.drift.projection import MOST_POINTS, Plane, Points, draw_points, plane_of, project, usual_plane
from benchkit.drift.reference import Reference, assign, fit
from benchkit.drift.row_facts import row_hashes
from benchkit.drift.sketch import empty_sketch, sketch

D = 12
SPREAD = np.r_[3.0, 2.0, np.full(D - 2, 0.5)]


def _rows(seed: int, n: int, *, shift: float = 0.0) -> np.ndarray:
    """Return rows whose first axis varies most and whose second comes next."""
    rows = np.random.default_rng(seed).normal(size=(n, D)) * SPREAD
    rows[:, 0] += shift
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return fit(_rows(1, 4000))


def _points(reference: Reference, rows: np.ndarray, times: np.ndarray | None = None) -> Points:
    return draw_points(reference.frame, rows, row_hashes(np.ascontiguousarray(rows)), times)


def test_rows_lie_where_the_first_two_directions_have_them(reference: Reference) -> None:
    rows = _rows(2, 150)
    shown = project(reference, sketch(reference, rows), _points(reference, rows))
    assert shown is not None
    axes = reference.frame.basis[:2].astype(np.float64)
    assert np.abs(axes).argmax(axis=1).tolist() == [0, 1]
    assert np.abs(axes).max(axis=1).min() > 0.98
    centred = rows.astype(np.float64) - reference.frame.mean
    expected = centred @ axes.T * np.minimum(1, reference.frame.radius / np.linalg.norm(centred, axis=1))[:, None]
    found = np.array(shown.window)
    for one, other in ((found, expected), (expected, found)):
        assert np.abs(one[:, None] - other).max(axis=2).min(axis=1).max() < 0.005
    assert all(value == round(value, 4) for place in shown.window for value in place)


def test_regions_are_the_centroids_with_the_shares_of_the_sums(reference: Reference) -> None:
    rows = _rows(3, 500, shift=4.0)
    shown = project(reference, sketch(reference, rows), Points.empty())
    assert shown is not None
    counts = np.bincount(assign(reference, rows), minlength=len(reference.frame.centroids))
    axes = reference.frame.basis[:2].astype(np.float64)
    for region, count, centre in zip(shown.regions, counts, reference.frame.centroids, strict=True):
        assert region.window_share == pytest.approx(count / 500, abs=1e-6)
        assert region.baseline_share == pytest.approx(reference.cluster_shares[region.cluster], abs=1e-6)
        assert (region.x, region.y) == pytest.approx(tuple(axes @ centre.astype(np.float64)), abs=1e-4)
    assert sum(region.window_share for region in shown.regions) == pytest.approx(1, abs=1e-4)
    moved = sum(region.x * (region.window_share - region.baseline_share) for region in shown.regions)
    assert abs(moved) > 2  # the shares follow the shift along the first axis


@pytest.mark.parametrize("n_parts", [2, 7, 64])
def test_the_sample_is_that_of_one_pass_in_any_partition_and_order(reference: Reference, n_parts: int) -> None:
    rows = _rows(4, 3000)
    rows[100:400] = rows[7]
    part_of = np.random.default_rng(n_parts).integers(0, n_parts, len(rows))
    parts = [_points(reference, rows[part_of == part]) for part in range(n_parts)]
    whole = _points(reference, rows)
    for order in (parts, parts[::-1]):
        merged = reduce(lambda one, other: one + other, order, Points.empty())
        assert np.array_equal(merged.keys, whole.keys)
        assert np.array_equal(merged.places, whole.places)
    assert len(whole) == MOST_POINTS


def test_rows_drawn_beside_a_sample_are_those_that_enter_it(reference: Reference) -> None:
    rows = _rows(4, 4000)
    rows[3000] = rows[5]
    before, later = _points(reference, rows[:2000]), rows[2000:]
    found = draw_points(reference.frame, later, row_hashes(later), beside=before)
    whole = _points(reference, rows)
    entered = set(whole.keys.tolist()) - set(before.keys.tolist())
    assert entered <= set(found.keys.tolist())
    assert len(found) < MOST_POINTS
    assert np.array_equal((before + found).keys, whole.keys)
    assert np.array_equal((before + found).places, whole.places)
    total = Points.empty()
    for start in range(0, 4000, 40):
        part = rows[start : start + 40]
        total = total + draw_points(reference.frame, part, row_hashes(part), beside=total)
        assert np.array_equal(total.keys, _points(reference, rows[: start + 40]).keys)
    few = _points(reference, rows[: MOST_POINTS - 1])
    assert len(draw_points(reference.frame, later, row_hashes(later), beside=few)) == MOST_POINTS


def test_every_row_is_as_likely_in_the_sample(reference: Reference) -> None:
    first = _rows(5, 2000)
    # Half of the rows come from elsewhere: 100 of 200 points on the average, standard deviation 6.7.
    other = _rows(6, 2000, shift=1000.0)
    places = _points(reference, np.concatenate([first, other])).places
    assert 60 < (np.abs(places[:, 0]) > 0.95).sum() < 140


def test_rows_that_repeat_are_one_point_unless_their_times_differ(reference: Reference) -> None:
    rows = np.repeat(_rows(6, 1), 50, axis=0)
    times = np.datetime64("2026-01-01", "us") + np.arange(50)
    times[3] = np.datetime64("NaT")
    assert len(_points(reference, rows)) == 1
    assert len(_points(reference, rows, times)) == 50


def test_a_row_beyond_all_others_is_drawn_in_and_stays_a_number(reference: Reference) -> None:
    wild = np.zeros((3, D))
    wild[0, 0], wild[1, 1], wild[2] = 1e300, -1e160, 1e30
    found = _points(reference, wild)
    assert np.isfinite(found.places).all()
    assert np.abs(found.places).max() == pytest.approx(1, abs=0.02)
    shown = project(reference, sketch(reference, wild), found)
    assert shown is not None
    assert np.isfinite(shown.window).all()


def test_a_shifted_window_lies_elsewhere_on_the_same_axes(reference: Reference) -> None:
    still, moved = (_rows(8, 400), _rows(9, 400, shift=5.0))
    shown = [project(reference, sketch(reference, rows), _points(reference, rows)) for rows in (still, moved)]
    assert shown[0] is not None
    assert shown[1] is not None
    assert (shown[0].x_range, shown[0].y_range) == (shown[1].x_range, shown[1].y_range)
    means = [np.mean(each.window, axis=0) for each in shown if each]
    assert abs(means[1] - means[0])[0] == pytest.approx(5, abs=1)
    assert abs(means[1] - means[0])[1] < 1


def test_a_window_without_rows_has_no_picture(reference: Reference) -> None:
    assert project(reference, empty_sketch(reference.frame), Points.empty()) is None


# ------------------------------------------------------------ ranges


def test_ranges_hold_99_of_100_rows_and_the_plane_its_share_of_the_variance(reference: Reference) -> None:
    rows = _rows(1, 4000)
    plane = plane_of(reference.frame, rows)
    centred = rows.astype(np.float64) - reference.frame.mean
    places = centred @ reference.frame.basis[:2].astype(np.float64).T
    for axis, (low, high) in enumerate((plane.x_range, plane.y_range)):
        assert np.mean((places[:, axis] >= low) & (places[:, axis] <= high)) == pytest.approx(0.99, abs=0.001)
    assert plane.explained == pytest.approx((9 + 4) / np.square(SPREAD).sum(), abs=0.02)
    # An older baseline has its sums only; rows here are normal, as that takes them to be.
    usual = usual_plane(reference)
    assert usual.explained == pytest.approx(plane.explained, abs=0.02)
    for found, expected in ((usual.x_range, plane.x_range), (usual.y_range, plane.y_range)):
        assert found == pytest.approx(expected, abs=0.15 * (expected[1] - expected[0]))


def test_ranges_of_the_baseline_are_taken_where_it_has_them(reference: Reference) -> None:
    rows, plane = _rows(2, 100), Plane((-1.0, 2.0), (-3.0, 4.0), 0.25)
    shown = project(reference, sketch(reference, rows), Points.empty(), plane)
    assert shown is not None
    assert (shown.x_range, shown.y_range, shown.explained) == ((-1.0, 2.0), (-3.0, 4.0), 0.25)
    assert Plane.from_json(plane.to_json()) == plane


def test_a_baseline_that_varies_along_one_line_has_a_second_axis_of_nothing() -> None:
    line = np.zeros((400, 5), np.float32)
    line[:, 2] = np.random.default_rng(0).normal(size=400)
    reference = fit(line)
    for plane in (plane_of(reference.frame, line), usual_plane(reference)):
        assert plane.y_range == (-0.5, 0.5)
        assert plane.explained == pytest.approx(1)
    shown = project(reference, sketch(reference, line), _points(reference, line))
    assert shown is not None
    assert {y for _, y in shown.window} == {0.0}


# ------------------------------------------------------------ stored


def test_points_come_back_and_a_window_of_an_older_benchkit_has_none(reference: Reference) -> None:
    points = _points(reference, _rows(3, 300))
    again = Points.from_arrays(points.to_arrays())
    assert np.array_equal(again.keys, points.keys)
    assert np.array_equal(again.places, points.places)
    assert len(Points.from_arrays({})) == 0
    assert sum(array.nbytes for array in points.to_arrays().values()) <= 2400
    with pytest.raises(ValueError, match="are no points of one plane"):
        Points.from_arrays(replace(points, keys=points.keys[1:]).to_arrays())
