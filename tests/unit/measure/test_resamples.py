"""Counts of items in resamples: multinomial, within strata, the same for all models, kept as long as there is room."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from score_items import mean_items

from benchkit.measure.resamples import KeptCounts, resample_counts
from benchkit.types.result import ItemScores


def test_each_resample_has_as_many_items_as_the_data():
    counts = np.vstack(list(resample_counts(7, 50, np.random.default_rng(0), chunk=8)))
    assert counts.shape == (50, 7)
    assert set(counts.sum(axis=1)) == {7}


def test_counts_are_multinomial():
    counts = np.vstack(list(resample_counts(5, 40_000, np.random.default_rng(0))))
    # Var(count) = n * 1/n * (1 - 1/n) = 0.8 and Cov = -n / n² = -0.2; standard errors about 0.006
    np.testing.assert_allclose(np.cov(counts.T), np.eye(5) - 0.2, atol=0.03)
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.02)


def test_strata_keep_their_sizes():
    strata = np.array([3, 9, 3, 9, 9, 4])
    counts = np.vstack(list(resample_counts(6, 100, np.random.default_rng(0), strata=strata)))
    for stratum in (3, 9, 4):
        assert set(counts[:, strata == stratum].sum(axis=1)) == {np.count_nonzero(strata == stratum)}
    assert len({tuple(row) for row in counts}) > 20


@pytest.mark.parametrize("strata", [None, np.array([0, 1, 1, 0, 1, 2, 2])])
def test_resamples_do_not_depend_on_the_chunks(strata):
    def drawn(chunk: int | None) -> np.ndarray:
        return np.vstack(list(resample_counts(7, 40, np.random.default_rng(5), strata=strata, chunk=chunk)))

    np.testing.assert_array_equal(drawn(3), drawn(None))


@pytest.mark.parametrize(("n_items", "strata"), [(0, None), (3, np.zeros(2, np.int64))])
def test_resampling_without_items_or_with_half_named_strata_is_refused(n_items, strata):
    with pytest.raises(ValueError, match="resampling needs items, and a stratum for each if for any"):
        resample_counts(n_items, 10, np.random.default_rng(0), strata=strata)


def drawn(kept: KeptCounts, items: ItemScores, n_resamples: int = 50, seed: int = 1) -> np.ndarray:
    """As int64: counts that were kept are of a narrower type than those just drawn."""
    return np.vstack(list(kept.counts(items, n_resamples, [seed, 2, 3]))).astype(np.int64)


@pytest.mark.parametrize("strata", [None, np.array([0, 1, 1, 0, 1, 2, 2])], ids=["plain", "strata"])
def test_kept_resamples_are_the_ones_that_would_be_drawn(strata, monkeypatch):
    items, kept = mean_items(range(7), strata=strata), KeptCounts(10_000)
    rng = np.random.default_rng(np.random.SeedSequence([1, 2, 3]))
    expected = np.vstack(list(resample_counts(7, 50, rng, strata=strata)))
    np.testing.assert_array_equal(drawn(kept, items), expected)
    monkeypatch.delattr("benchkit.measure.resamples.resample_counts")
    np.testing.assert_array_equal(drawn(kept, mean_items(range(7, 14), strata=strata)), expected)
    assert kept.n_bytes == 7 * 50


def test_resamples_of_other_seeds_numbers_or_strata_are_their_own():
    kept = KeptCounts(10_000)
    first = drawn(kept, mean_items(range(7)))
    assert not np.array_equal(drawn(kept, mean_items(range(7)), seed=2), first)
    assert len(drawn(kept, mean_items(range(7)), n_resamples=60)) == 60
    assert drawn(kept, mean_items(range(8))).shape == (50, 8)
    strata = np.array([0, 0, 0, 1, 1, 1, 1])
    assert set(drawn(kept, mean_items(range(7), strata=strata))[:, :3].sum(axis=1)) == {3}


def test_the_resamples_not_used_for_longest_make_room_and_too_many_are_not_kept():
    kept = KeptCounts(2 * 7 * 50)
    for seed in (1, 2, 1, 3):
        drawn(kept, mean_items(range(7)), seed=seed)
    assert kept.n_bytes == 2 * 7 * 50
    assert [key[-3] for key in kept._chunks] == [1, 3]
    drawn(kept, mean_items(range(15)))
    assert [key[0] for key in kept._chunks] == [7, 7]


def test_counts_that_need_more_than_a_byte_are_not_kept(monkeypatch):
    kept = KeptCounts(10_000)
    monkeypatch.setattr(
        "benchkit.measure.resamples.resample_counts", lambda *_, **__: iter([np.array([[256, 0]]), np.array([[1, 1]])])
    )
    for _ in range(2):
        assert drawn(kept, mean_items(range(2))).tolist() == [[256, 0], [1, 1]]
    assert kept.n_bytes == 0


def test_threads_may_draw_at_once():
    """Small switches between threads; without a lock one of them meets a change while it counts bytes."""
    items, kept = mean_items(range(7)), KeptCounts(3 * 7 * 50)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda seed: drawn(kept, items, seed=seed).tobytes(), [*range(60)] * 10))
    finally:
        sys.setswitchinterval(before)
    assert len(set(found)) == 60
    assert kept.n_bytes <= kept.room
