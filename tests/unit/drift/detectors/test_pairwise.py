"""Sums over pairs, against the double loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.detectors import pairwise
from benchkit.drift.detectors.pairwise import median_squared_distance, pair_sums, squared_distances

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(23, 4))
LABELS = np.array([RNG.permutation(23) < 9 for _ in range(6)]).T


@pytest.mark.parametrize("block", [1, 7, 256])
def test_pair_sums_agree_with_the_double_loop_whatever_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "_BLOCK", block)
    found = pair_sums(ROWS, LABELS, lambda squares: np.exp(-squares / 3))
    for column in range(LABELS.shape[1]):
        sums = {True: 0.0, False: 0.0, None: 0.0}
        for i, a in enumerate(ROWS):
            for j, b in enumerate(ROWS):
                ours, theirs = bool(LABELS[i, column]), bool(LABELS[j, column])
                if i != j and (ours == theirs or ours):
                    sums[ours if ours == theirs else None] += float(np.exp(-((a - b) ** 2).sum() / 3))
        assert found.within_reference[column] == pytest.approx(sums[True])
        assert found.within_current[column] == pytest.approx(sums[False])
        assert found.across[column] == pytest.approx(sums[None])
    assert (found.n_reference, found.n_current) == (9, 14)


def test_squared_distances_are_never_negative() -> None:
    rows = np.repeat(RNG.normal(size=(1, 300)), 50, axis=0) * (1 + 1e-16)
    assert squared_distances(rows, rows).min() >= 0.0
    assert squared_distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]]))[0, 0] == 25.0


def test_median_distance_is_that_of_all_pairs() -> None:
    pairs = [((ROWS[i] - ROWS[j]) ** 2).sum() for i in range(23) for j in range(i)]
    assert median_squared_distance(ROWS, RNG) == pytest.approx(np.median(pairs))


def test_median_distance_of_many_rows_is_near_that_of_all() -> None:
    rows = np.random.default_rng(1).normal(size=(4000, 1))
    # The difference of two normals has variance 2; the median of chi-squared with one degree of freedom is 0.4549.
    assert median_squared_distance(rows, np.random.default_rng(2)) == pytest.approx(2 * 0.4549, rel=0.15)


def test_a_flood_of_duplicates_leaves_a_width_above_zero() -> None:
    rows = np.zeros((20, 2))
    rows[0] = 3.0
    assert median_squared_distance(rows, RNG) == pytest.approx(18 * 19 / 190)  # the mean: 19 of 190 pairs differ
    assert median_squared_distance(np.zeros((20, 2)), RNG) == 1.0
