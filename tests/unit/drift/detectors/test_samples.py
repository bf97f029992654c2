"""Two samples made ready: what is refused, and what does not depend on how the rows came."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.detectors.samples import pair_samples


def pair(reference, current, *, max_rows=100, seed=0, min_rows=5):
    rng = np.random.default_rng(seed)
    return pair_samples(np.asarray(reference), np.asarray(current), rng=rng, max_rows=max_rows, min_rows=min_rows)


def draw(rows, seed, dimension=3):
    return np.random.default_rng(seed).normal(size=(rows, dimension))


def test_rows_of_both_samples_are_all_there_about_their_median() -> None:
    reference, current = draw(6, 1), draw(8, 2)
    found = pair(reference, current)
    middle = np.median(np.concatenate([reference, current]), axis=0)
    assert (found.n_reference, found.n_current, found.given_reference, found.given_current) == (6, 8, 6, 8)
    for which, given in ((found.is_reference, reference), (~found.is_reference, current)):
        assert np.allclose(np.sort(found.rows[which] + middle, axis=0), np.sort(given, axis=0))


def test_order_and_float_type_of_the_rows_change_no_bit() -> None:
    reference, current = draw(50, 1).astype(np.float32), draw(60, 2).astype(np.float32)
    first = pair(reference, current)
    for other in (
        pair(reference[::-1], current[np.random.default_rng(3).permutation(60)]),
        pair(reference.astype(np.float64), np.asfortranarray(current)),
    ):
        assert np.array_equal(first.rows, other.rows)
        assert np.array_equal(first.is_reference, other.is_reference)


@pytest.mark.parametrize("max_rows", [100, 30])
def test_order_changes_nothing_where_rows_are_equal(max_rows: int) -> None:
    rng = np.random.default_rng(5)
    rows = draw(6, 1)
    reference, current = rows[rng.integers(6, size=50)], rows[rng.integers(6, size=60)]
    one = pair(reference, current, max_rows=max_rows)
    other = pair(rng.permutation(reference), rng.permutation(current), max_rows=max_rows)
    assert np.array_equal(one.rows, other.rows)
    assert np.array_equal(one.is_reference, other.is_reference)


def test_samples_that_change_places_keep_the_order_of_their_rows_and_which_are_drawn() -> None:
    reference, current = draw(150, 1), draw(60, 2)
    one, other = pair(reference, current), pair(current, reference)
    assert (one.n_reference, other.n_current) == (100, 100)
    assert np.array_equal(one.rows, other.rows)
    assert np.array_equal(one.is_reference, ~other.is_reference)


def test_the_place_of_a_row_says_nothing_of_its_sample() -> None:
    # Folds of a fixed seed would else hold as many of the reference in each, always: those of a relabelling vary.
    pairs = [pair(draw(10, seed), draw(10, 100 + seed)) for seed in range(60)]
    in_the_first_ten = [int(found.is_reference[:10].sum()) for found in pairs]
    assert abs(np.mean(in_the_first_ten) - 5) < 0.7  # 4.7 standard errors
    assert 0.6 < np.std(in_the_first_ten) < 1.7  # hypergeometric: 1.15


def test_equal_rows_of_two_samples_stand_in_any_order() -> None:
    first = [bool(pair(*np.full((2, 10, 3), value)).is_reference[0]) for value in range(40)]
    assert 8 <= sum(first) <= 32


def test_the_order_of_rows_says_nothing_of_their_values() -> None:
    found = pair(np.arange(1000.0)[:, None], draw(5, 1, 1), max_rows=2000)
    rows = found.rows[found.is_reference, 0]
    assert abs(np.corrcoef(rows, np.arange(1000))[0, 1]) < 0.15  # 4.7 standard errors


def test_minus_zero_is_zero() -> None:
    zeros = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0], [0.0, 5.0]])
    minus = zeros.copy()
    minus[:, 0] = -0.0
    assert np.array_equal(pair(zeros, draw(5, 1, 2)).rows, pair(minus, draw(5, 1, 2)).rows)


def test_rows_that_are_all_equal_become_zeros_exactly() -> None:
    rows = np.tile(draw(1, 3, dimension=50), (13, 1))  # the mean of thirteen equal numbers is another one by rounding
    assert (rows != rows.mean(axis=0)).any()
    assert not pair(rows, rows[:10]).rows.any()


def test_one_broken_row_leaves_the_others_as_far_from_each_other_as_they_are() -> None:
    reference, current = draw(40, 1), draw(50, 2)
    reference[3] = 1e30
    found = pair(reference, current).rows
    sound = np.sort(found[np.abs(found).max(axis=1) < 1e6, 0])
    assert np.allclose(np.diff(sound), np.diff(np.sort(np.concatenate([np.delete(reference, 3, 0), current])[:, 0])))


def test_of_a_large_sample_some_rows_are_drawn_and_counted() -> None:
    reference, current = draw(500, 1), draw(30, 2)
    found = pair(reference, current, max_rows=100)
    assert (found.n_reference, found.n_current) == (100, 30)
    assert (found.given_reference, found.given_current) == (500, 30)
    assert len(np.unique(found.rows[found.is_reference], axis=0)) == 100  # without replacement
    assert found.is_reference.sum() == 100
    assert not np.array_equal(found.rows, pair(reference, current, max_rows=100, seed=1).rows)
    assert np.array_equal(found.rows, pair(reference[::-1], current, max_rows=100).rows)


def test_inputs_are_not_written_to() -> None:
    reference, current = draw(6, 1), draw(8, 2)
    kept = reference.copy(), current.copy()
    pair(reference, current)
    assert np.array_equal(reference, kept[0])
    assert np.array_equal(current, kept[1])


GOOD = np.ones((6, 3))


def spoilt(value: float) -> np.ndarray:
    rows = GOOD.copy()
    rows[2, 1] = value
    return rows


@pytest.mark.parametrize(
    ("reference", "current", "message"),
    [
        (GOOD, np.ones((6, 4)), r"dimensions differ: reference 3, current 4; was the encoder replaced"),
        (GOOD, spoilt(np.nan), "current holds NaN or infinity in 1 of 6 rows"),
        (spoilt(-np.inf), GOOD, "reference holds NaN or infinity in 1 of 6 rows"),
        (spoilt(-1e70), GOOD, r"reference holds a value beyond 1e\+60"),
        (GOOD[:4], GOOD, "reference has too few rows: 4, at least 5 are needed"),
        (GOOD, GOOD[:0], "current has too few rows: 0, at least 5 are needed"),
        (GOOD[0], GOOD, r"reference should be an array \(rows, dimension\), got shape \(3,\)"),
        (GOOD, GOOD[:, :0], r"current should be an array \(rows, dimension\), got shape \(6, 0\)"),
        (GOOD, GOOD.astype(str), "current should hold real numbers, got <U"),
        (GOOD * 1j, GOOD, "reference should hold real numbers, got complex128"),
    ],
)
def test_what_cannot_be_compared_is_refused(reference: np.ndarray, current: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair(reference, current)
