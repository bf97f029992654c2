"""Window sums: they merge exactly, take any float, and bound what one row can do."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.frame import fit_frame
from benchkit.drift.reference import assign, fit
from benchkit.drift.sketch import Sketch, sketch


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, 40))
    found = centres[rng.integers(12, size=9000)] + 0.5 * rng.normal(size=(9000, 40))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(rows):
    return fit(rows[:4000])


def assert_same(a: Sketch, b: Sketch, *, relative: float = 1e-6) -> None:
    assert a.rows == b.rows
    assert np.array_equal(a.clusters, b.clusters)
    assert np.array_equal(a.novelty, b.novelty)
    for name in ("linear", "squares", "norm"):
        one, two = getattr(a, name), getattr(b, name)
        # Of sums that cancel: relative to what was added up.
        assert np.abs(one - two).max() <= relative * (np.abs(two).max() + a.rows * 0.1)


def test_64_parts_of_any_length_add_up_to_one_pass(reference, rows):
    window = rows[4000:]
    cuts = np.sort(np.random.default_rng(0).integers(0, len(window), 63))
    parts = [sketch(reference, part) for part in np.split(window, cuts)]
    total = sum(parts, Sketch.empty(reference))
    assert_same(total, sketch(reference, window))


def test_the_blocks_of_one_pass_add_up_to_rows_summed_one_by_one(reference, rows):
    window = rows[4000:5500]  # three blocks, the last one short
    alone = sum((sketch(reference, row[None]) for row in window), Sketch.empty(reference))
    assert_same(sketch(reference, window), alone)


def test_the_order_of_rows_does_not_matter(reference, rows):
    window = rows[4000:6500]
    assert_same(sketch(reference, window[::-1]), sketch(reference, window))
    assert_same(sketch(reference, np.random.default_rng(1).permutation(window)), sketch(reference, window))


def test_sums_are_those_of_plain_float64(reference, rows):
    window, frame = rows[4000:5100].astype(np.float64), reference.frame
    found = sketch(reference, rows[4000:5100])
    centred = window - frame.mean
    inside = centred * np.minimum(1, frame.radius / np.linalg.norm(centred, axis=1))[:, None]
    distances = np.square(centred[:, None] - frame.centroids.astype(float)).sum(axis=2)
    assert np.abs(found.linear - inside.sum(axis=0)).max() < 1e-3
    along = np.square(inside @ frame.basis[frame.quadratic].T) / frame.variances
    assert np.allclose(found.squares, np.minimum(along, 25).sum(axis=0), rtol=1e-4)
    assert np.array_equal(found.clusters, np.bincount(distances.argmin(axis=1), minlength=len(frame.centroids)))
    of_inside = np.square(inside[:, None] - frame.centroids.astype(float)).sum(axis=2)
    bins = np.searchsorted(frame.edges, -frame.width * np.log(np.exp(-of_inside / frame.width).sum(axis=1)))
    assert np.abs(found.novelty - np.bincount(bins, minlength=len(frame.edges) + 1)).sum() <= 2  # rows on an edge
    assert not found.norm.any()  # all are unit vectors


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.float32])
def test_floats_of_any_width_give_the_same_window(reference, rows, dtype):
    window = rows[4000:4500].astype(np.float16)  # exact in all three
    assert_same(sketch(reference, window.astype(dtype)), sketch(reference, window))


def test_int8_rows_are_taken_as_numbers(reference):
    window = np.random.default_rng(0).integers(-128, 128, size=(70, 40)).astype(np.int8)
    assert_same(sketch(reference, window), sketch(reference, window.astype(np.float64)))


def test_no_rows_are_nothing(reference, rows):
    empty = sketch(reference, rows[:0])
    assert_same(empty, Sketch.empty(reference))
    window = sketch(reference, rows[:50])
    assert_same(empty + window, window, relative=0)


def test_a_row_of_any_length_moves_the_sums_by_a_finite_bound(reference, rows):
    wild = np.zeros((4, 40))
    wild[:, 0] = [1e30, -1e300, 3e38, 50.0]
    found = sketch(reference, wild)
    assert np.linalg.norm(found.linear) <= 4 * reference.frame.radius * 1.001
    assert found.squares.max() <= 4 * 25
    assert np.array_equal(found.novelty, [0] * (len(found.novelty) - 1) + [4])
    assert np.isfinite(found.norm).all()
    assert np.isfinite(found.dead)


def test_arrays_round_trip(reference, rows):
    found = sketch(reference, rows[:300])
    assert_same(Sketch.from_arrays(found.to_arrays()), found, relative=0)


def test_a_window_of_768_dimensions_is_at_most_14_kb():
    rows = np.random.default_rng(0).normal(size=(900, 768)).astype(np.float32)
    found = Sketch.empty(_Framed(fit_frame(rows[:600], rows[600:], np.random.default_rng(0))))
    assert sum(array.nbytes for array in found.to_arrays().values()) <= 14_000


class _Framed:
    def __init__(self, frame):
        self.frame = frame


def test_assign_counts_as_the_sketch_does(reference, rows):
    found = assign(reference, rows[4000:5000])
    assert found.shape == (1000,)
    assert np.array_equal(
        np.bincount(found, minlength=len(reference.cluster_shares)), sketch(reference, rows[4000:5000]).clusters
    )
    assert assign(reference, rows[:0]).shape == (0,)


def test_other_dimensions_are_refused(reference):
    with pytest.raises(ValueError, match=r"dimensions differ: baseline 40, window \(7,\)|dimensions differ"):
        sketch(reference, np.zeros((3, 7)))


def test_sketches_of_other_frames_are_refused(reference):
    other = fit(np.random.default_rng(0).normal(size=(200, 3)))
    with pytest.raises(ValueError, match="sketches of different references cannot be merged"):
        Sketch.empty(reference) + Sketch.empty(other)


def test_arrays_that_are_no_sketch_are_refused():
    with pytest.raises(ValueError, match="not a sketch: without clusters, dead"):
        Sketch.from_arrays({name: np.zeros(2) for name in ("rows", "linear", "squares", "novelty", "norm")})
