"""Rows are measured as float64 says, wherever they lie in memory, in a block and from the origin."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.frame import Frame, fit_frame
from benchkit.drift.measure_rows import BLOCK_ROWS, MAX_SQUARE, NEAR_ORIGIN, RowMeasures, RowMeter, measure_rows
from benchkit.drift.sketch import sketch_rows

D = 24


def drawn(n: int, seed: int, away: float) -> np.ndarray:
    """Rows of eight topics, whose mean is `away` times as long as the farthest of them is from it, about."""
    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(0).normal(size=(8, D))
    rows = topics[rng.integers(8, size=n)] + 0.4 * rng.normal(size=(n, D))
    rows[:, -1] = 0.7  # a dead dimension
    return (rows + away * 9 * np.eye(D)[0]).astype(np.float32)


def frame_of(away: float) -> Frame:
    return fit_frame(drawn(1000, 1, away), drawn(3000, 2, away), np.random.default_rng(0))


def in_double(frame: Frame, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What a block of rows measures, all of it in float64 and from centred rows."""
    centred = rows.astype(np.float64) - frame.mean
    dead = np.square(centred @ frame.dead.astype(float).T).sum(axis=1)
    centred *= np.minimum(1, frame.radius / np.linalg.norm(centred, axis=1))[:, None]
    squares = np.square(centred[:, None] - frame.centroids.astype(float)).sum(axis=2)
    along = np.square(centred @ frame.basis[frame.quadratic].astype(float).T) / frame.variances
    soft = -frame.width * np.log(np.exp(-(squares - squares.min(axis=1, keepdims=True)) / frame.width).sum(axis=1))
    return {
        "cluster": squares.argmin(axis=1),
        "distance": soft + squares.min(axis=1) - np.square(centred @ frame.dead.astype(float).T).sum(axis=1),
        "dead": dead,
        "squares": np.minimum(along, MAX_SQUARE),
        "squared_norm": np.square(rows.astype(np.float64)).sum(axis=1),
        "centred": centred,
    }


def assert_is(found: RowMeasures, frame: Frame, rows: np.ndarray) -> None:
    expected = in_double(frame, rows)
    assert np.array_equal(found.cluster, expected["cluster"])
    below = np.searchsorted(frame.edges, expected["distance"] * (1 - 1e-4) - 1e-4)
    above = np.searchsorted(frame.edges, expected["distance"] * (1 + 1e-4) + 1e-4)
    assert ((below <= found.novelty) & (found.novelty <= above)).all()
    assert found.squares == pytest.approx(expected["squares"], rel=1e-3, abs=1e-4)
    assert found.squared_norm == pytest.approx(expected["squared_norm"], rel=1e-5)
    assert found.dead == pytest.approx(expected["dead"], rel=1e-2, abs=1e-5)
    assert found.centred == pytest.approx(expected["centred"], abs=1e-4)


@pytest.mark.parametrize("away", [0.0, 0.5, 1.5, 5.0, 50.0])
def test_rows_are_measured_as_float64_says_however_far_from_the_origin(away):
    frame, rows = frame_of(away), drawn(BLOCK_ROWS, 3, away)
    rows[::7, -1] += 0.3
    (found,) = measure_rows(frame, rows)
    assert_is(found, frame, rows)
    assert len(frame.dead) == 1
    assert found.dead[::7] == pytest.approx(0.09, rel=1e-2)


def test_rows_are_moved_where_the_mean_is_far_and_lie_as_they_are_elsewhere():
    near, far = frame_of(0.5), frame_of(5.0)
    assert np.linalg.norm(near.mean) < NEAR_ORIGIN * near.radius
    assert np.linalg.norm(far.mean) > NEAR_ORIGIN * far.radius
    rows = drawn(BLOCK_ROWS, 3, 0.5)
    assert np.shares_memory(RowMeter(near).measure(rows).rows, rows)
    moved = RowMeter(far).measure(drawn(BLOCK_ROWS, 3, 5.0))
    assert not moved.origin.any()
    assert np.abs(moved.rows).max() < far.radius


def test_far_from_the_origin_products_of_rows_as_they_are_would_be_wrong(monkeypatch):
    """So that moving them is needed, and the test above would see it missing."""
    frame, rows = frame_of(3000.0), drawn(BLOCK_ROWS, 3, 3000.0)
    (right,) = measure_rows(frame, rows)
    assert right.centred == pytest.approx(in_double(frame, rows)["centred"], abs=0.01)
    expected = in_double(frame, rows)["squares"]
    assert right.squares == pytest.approx(expected, rel=0.02, abs=0.02)
    monkeypatch.setattr("benchkit.drift.measure_rows.NEAR_ORIGIN", np.inf)
    (wrong,) = measure_rows(frame, rows)
    assert wrong.squares != pytest.approx(expected, rel=0.02, abs=0.02)


@pytest.mark.parametrize("away", [0.5, 5.0])
def test_far_rows_are_drawn_in_and_their_neighbours_stay(away):
    frame, rows = frame_of(away), drawn(BLOCK_ROWS, 3, away)
    (before,) = ([each.cluster, each.novelty, each.squares] for each in measure_rows(frame, rows))
    rows[[5, 9]] *= np.array([[40], [-1e12]], np.float32)
    kept = rows.copy()
    (found,) = measure_rows(frame, rows)
    assert_is(found, frame, rows)
    others = np.delete(np.arange(BLOCK_ROWS), [5, 9])
    for one, other in zip(before, [found.cluster, found.novelty, found.squares], strict=True):
        assert np.array_equal(one[others], other[others])
    assert np.array_equal(rows, kept)  # the caller's own rows are not drawn in


@pytest.mark.parametrize("away", [0.5, 5.0])
def test_a_row_has_the_same_figures_in_any_place_and_any_kind_of_memory(away):
    frame, rows = frame_of(away), drawn(BLOCK_ROWS, 3, away)
    meter = RowMeter(frame)

    def figures(vectors: np.ndarray, squares: np.ndarray | None = None) -> list[np.ndarray]:
        found = meter.measure(vectors, squares)
        return [found.cluster, found.novelty, found.squares, found.squared_norm, found.dead]

    whole = figures(rows)
    readonly = rows.copy()
    readonly.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + rows.tobytes(), np.uint8)[1:].view(np.float32).reshape(rows.shape)
    alike = [readonly, unaligned, np.asfortranarray(rows), rows.astype(">f4"), rows.astype(np.float64)]
    for vectors in alike:
        for one, other in zip(figures(vectors), whole, strict=True):
            assert np.array_equal(one, other)
    for count in (1, 3, 300, 511):
        for one, other in zip(figures(rows[-count:]), whole, strict=True):
            assert np.array_equal(one, other[-count:])
    for count in (1, 2, 17, BLOCK_ROWS):
        squares = np.vecdot(rows[:count], rows[:count])
        before = squares.copy()
        for one, other in zip(figures(rows[:count], squares), whole, strict=True):
            assert np.array_equal(one, other[:count])
        assert np.array_equal(squares, before)


def test_sums_of_a_million_rows_keep_seven_digits_of_what_was_added_up():
    """By tiling: float32 sums of 32 rows that are not centred, float64 beyond."""
    frame, rows = frame_of(1.5), drawn(1000, 3, 1.5)
    found = sketch_rows(frame, np.tile(rows, (200, 1)))
    expected = in_double(frame, rows)["centred"].sum(axis=0) * 200
    assert np.abs(found.linear - expected).max() <= 1e-7 * found.rows * np.abs(frame.mean).max()
