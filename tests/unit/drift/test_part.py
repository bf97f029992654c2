"""Parts of a stream in the frame of the whole: their p-values, what they take on disk, and which rows they may use."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.frame import ROWS_OF_PART, frame_of_part
from benchkit.drift.judge import judge
from benchkit.drift.part import RANK_STEP, fit_part, part_from_arrays, part_to_arrays
from benchkit.drift.reference import Reference, fit, framed_rows
from benchkit.drift.sketch import sketch

N, D = 4000, 12
CENTRES = 2.0 * np.random.default_rng(1).normal(size=(7, D))


def rows(rng: np.random.Generator, n: int, topics: tuple[int, ...]) -> np.ndarray:
    found = CENTRES[rng.choice(topics, size=n)] + rng.normal(size=(n, D))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def whole() -> tuple[Reference, np.ndarray, np.ndarray]:
    """A stream whose first quarter is one part, its rows, and which of them its frame knows."""
    rng = np.random.default_rng(0)
    vectors = np.vstack([rows(rng, N // 4, (0, 1, 2)), rows(rng, 3 * N // 4, (3, 4, 5))])
    return fit(vectors, seed=3), vectors, framed_rows(N, 3)


@pytest.fixture(scope="module")
def part(whole) -> Reference:
    reference, vectors, framed = whole
    return fit_part(reference, vectors[: N // 4], is_framed=framed[: N // 4], seed=3)


def windows(topics: tuple[int, ...], n: int = 60, size: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rows(rng, size, topics) for _ in range(n)]


def p_values(reference: Reference, of: list[np.ndarray]) -> np.ndarray:
    return np.array([judge(reference, sketch(reference, window)).p_value for window in of])


def test_the_rows_of_a_frame_are_those_that_fit_left_out_of_its_sums(whole):
    reference, vectors, framed = whole
    assert framed.sum() == N // 4
    assert reference.baseline.rows == N - framed.sum()
    assert np.allclose(reference.frame.mean, vectors[framed].mean(axis=0), atol=1e-6)


def test_a_part_is_learnt_from_its_rows_that_the_frame_does_not_know(whole, part):
    reference, vectors, framed = whole
    own = vectors[: N // 4][~framed[: N // 4]]
    assert (part.rows, part.baseline.rows, part.n_windows) == (N // 4, len(own), 0)
    assert np.allclose(part.baseline.linear / len(own) + reference.frame.mean, own.mean(axis=0), atol=1e-6)


def test_a_part_shares_place_and_directions_with_the_whole_and_has_scales_of_its_own(whole, part):
    reference, vectors, framed = whole
    assert part.frame.directions is reference.frame.directions
    nearest = _distances(reference, vectors[: N // 4][framed[: N // 4]]).argmin(axis=1)
    used = np.flatnonzero(np.bincount(nearest, minlength=len(reference.frame.centroids)) >= ROWS_OF_PART)
    assert 2 < len(used) < len(reference.frame.centroids) / 2 + 8
    assert np.array_equal(part.frame.centroids, reference.frame.centroids[used])
    held = vectors[: N // 4][~framed[: N // 4]]
    own = (held - reference.frame.mean).astype(float)
    soft = -part.frame.width * np.log(np.exp(-_distances(part, held) / part.frame.width).sum(axis=1))
    assert part.frame.edges[0] == pytest.approx(np.median(soft), rel=1e-3)
    assert part.frame.radius == pytest.approx(np.linalg.norm(own, axis=1).max(), rel=1e-4)
    watched = reference.frame.basis[reference.frame.quadratic].astype(float)
    assert part.frame.variances == pytest.approx(np.square(own @ watched.T).mean(axis=0), rel=1e-4)


def _distances(reference: Reference, vectors: np.ndarray) -> np.ndarray:
    centred = (vectors - reference.frame.mean).astype(float)
    return np.square(centred[:, None] - reference.frame.centroids.astype(float)).sum(axis=2)


def test_windows_like_the_part_are_false_alarms_no_more_often_than_stated():
    rng, found = np.random.default_rng(6), []
    for seed in range(6):
        vectors = np.vstack([rows(rng, 700, (0, 1, 2)), rows(rng, 700, (3, 4, 5))])
        of_part = fit_part(fit(vectors, seed=seed), vectors[:700], is_framed=framed_rows(1400, seed)[:700], seed=seed)
        found.append(p_values(of_part, [rows(rng, 150, (0, 1, 2)) for _ in range(40)]))
    # .05 and three standard errors of 240 windows, of six baselines only: those of one share its error.
    assert 0.005 <= np.mean(np.array(found) <= 0.05) <= 0.12


def test_what_the_whole_has_and_the_part_has_not_is_a_change_of_the_part(part):
    usual, others = windows((0, 1, 2)), windows((3, 4))
    changed = [np.vstack([one[:160], other[:40]]) for one, other in zip(usual, others, strict=True)]
    assert np.mean(p_values(part, changed) <= 0.05) >= 0.9
    assert np.mean(p_values(part, usual) <= 0.05) <= 0.2  # of one baseline


def test_rows_that_the_frame_knows_are_left_out_for_a_reason():
    # In 60 dimensions, 150 rows of a frame lie much nearer to its centroids than new ones.
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(600, 60)).astype(np.float32)
    reference = fit(vectors)
    with_them = fit_part(reference, vectors, is_framed=np.zeros(600, bool))
    without = fit_part(reference, vectors, is_framed=framed_rows(600, 0))
    later = [rng.normal(size=(300, 60)).astype(np.float32) for _ in range(30)]
    assert np.median(p_values(with_them, later)) < 0.05 < np.median(p_values(without, later))


def test_a_part_comes_back_with_the_same_p_values(whole, part):
    again = part_from_arrays(whole[0], part_to_arrays(part, whole[0]))
    for window in windows((0, 1, 2), 5) + windows((0, 6), 5):
        assert judge(again, sketch(again, window)) == judge(part, sketch(part, window))
    assert again.frame.directions is whole[0].frame.directions
    assert (again.rows, again.n_windows) == (part.rows, part.n_windows)


def test_fewer_ranks_of_a_null_change_no_p_value_up_to_a_hundredth_and_others_hardly(whole):
    full = whole[0].history.null
    thin = full.thinned(RANK_STEP)
    assert len(thin.ranks) <= 78 < 190 < len(full.ranks)
    assert thin.ranks[:50].tolist() == list(range(50))
    assert thin.ranks[-1] == full.ranks[-1]
    ratios = []
    for n_rows in (30, 200, 5000):
        level = np.searchsorted(full.window_sizes, n_rows)
        for place in range(0, len(full.ranks), 3):
            sizes = full.values[level, :7, place].astype(float) * 1.001
            (one, each), (other, every) = (null.look_up(n_rows, sizes) for null in (full, thin))
            assert every[each < 0.01] == pytest.approx(each[each < 0.01], rel=1e-9)
            # Where sizes have a gap, as those of the norm of unit vectors, a straight line is off by up to a step.
            both = np.append(every, other) / np.append(each, one)
            assert both.min() >= 1 / RANK_STEP
            assert both.max() <= RANK_STEP
            ratios.append(both)
    assert np.median(ratios) == pytest.approx(1, abs=0.005)
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_a_part_of_300_dimensions_takes_23_kb():
    rng = np.random.default_rng(8)
    vectors = (rng.normal(size=(1600, 90)) @ rng.normal(size=(90, 300)) + rng.normal(size=(1600, 300))).astype("f4")
    reference = fit(vectors)
    of_part = fit_part(reference, vectors[:600], is_framed=framed_rows(1600, 0)[:600])
    assert len(of_part.frame.directions) == 300
    assert sum(array.nbytes for array in part_to_arrays(of_part, reference).values()) <= 23_000


def test_directions_in_which_a_part_does_not_vary_are_no_reason_to_fail(whole):
    reference, vectors, _ = whole
    flat = np.repeat(vectors[:3], 300, axis=0)
    frame = frame_of_part(reference.frame, flat[:5], flat[:1].repeat(50, axis=0))
    assert (frame.variances > 0).all()
    of_part = fit_part(reference, flat, is_framed=np.arange(900) % 300 < 9)
    assert judge(of_part, sketch(of_part, flat[::7])).p_value > 0.05
    assert judge(of_part, sketch(of_part, vectors[:200])).p_value <= 0.001


@pytest.mark.parametrize("is_framed", [True, False], ids=["all in the frame", "one vector"])
def test_rows_that_say_nothing_are_refused(whole, is_framed):
    same = np.repeat(whole[1][:1], 500, axis=0)
    with pytest.raises(ValueError, match="all rows of the part are the same vector"):
        fit_part(whole[0], same, is_framed=np.full(500, is_framed))


def test_arrays_of_another_whole_are_refused(whole, part):
    other = fit(np.random.default_rng(9).normal(size=(200, 5)))
    arrays = part_to_arrays(part, whole[0])
    with pytest.raises(ValueError, match=r"its centroids are none of the whole's|its arrays do not fit together"):
        part_from_arrays(other, arrays)
    for used in (np.array([999]), np.array([-1]), np.array(3)):
        with pytest.raises(ValueError, match="its centroids are none of the whole's"):
            part_from_arrays(whole[0], {**arrays, "frame.used": used})
