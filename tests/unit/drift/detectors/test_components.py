"""KS tests along principal directions: the distance by hand, the rate, and dead directions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ks_2samp

from benchkit.drift.detectors.components import ComponentKS, ks_tests, smallest_adjusted, without_rounding
from benchkit.drift.detectors.principal import principal_coordinates

RNG = np.random.default_rng(41)


def test_distance_is_the_largest_gap_of_the_step_curves_and_p_the_share_of_all_splits() -> None:
    x, y = np.array([0.1, 0.4, 0.5, 0.2]), np.array([0.3, 0.6, 0.7, 0.9])

    def gap(first: np.ndarray, second: np.ndarray) -> float:
        both = np.concatenate([first, second])
        return max(abs(np.mean(first <= value) - np.mean(second <= value)) for value in both)

    pooled = np.concatenate([x, y])
    gaps = [
        gap(pooled[list(split)], np.delete(pooled, split)) for split in itertools.combinations(range(8), 4)
    ]  # all 70 ways to call four rows the reference
    distances, p_values = ks_tests(x[:, None], y[:, None])
    assert distances == pytest.approx([0.75])
    assert p_values == pytest.approx([np.mean(np.array(gaps) >= 0.75 - 1e-12)])


def test_compare_is_benjamini_hochberg_of_scipys_tests_along_pooled_directions() -> None:
    reference, current = RNG.normal(size=(80, 5)) * [5, 4, 3, 2, 1], RNG.normal(size=(70, 5)) * [5, 4, 3, 2, 1.5]
    pooled = np.concatenate([reference, current])
    _, _, directions = np.linalg.svd(pooled - pooled.mean(axis=0), full_matrices=False)
    tests = [ks_2samp(reference @ direction, current @ direction) for direction in directions[:3]]
    found = ComponentKS(components=3).compare(reference, current)
    assert found.statistic == pytest.approx(max(test.statistic for test in tests))
    assert found.p_value == pytest.approx(min(false_discovery_control([test.pvalue for test in tests])))


@pytest.mark.parametrize("p_values", [[0.5], [0.02, 0.9, 0.03, 0.04], [1.0, 1.0], [0.001, 0.2, 0.01]])
def test_smallest_adjusted_is_scipys(p_values: list[float]) -> None:
    assert smallest_adjusted(np.array(p_values)) == pytest.approx(min(false_discovery_control(p_values)))


def test_coordinates_keep_distances_when_all_directions_are_taken() -> None:
    rows = RNG.normal(size=(30, 6))
    rows -= rows.mean(axis=0)
    coordinates = principal_coordinates(rows, None)
    assert np.allclose(coordinates @ coordinates.T, rows @ rows.T)
    assert np.all(np.diff(coordinates.var(axis=0)) <= 1e-12)  # by falling variance


def test_directions_without_variance_are_left_out() -> None:
    rows = np.zeros((40, 5))
    rows[:, 1:3] = RNG.normal(size=(40, 2))
    rows[:, 4] = 1e-6 * RNG.normal(size=40)  # rounding, as in a dead dimension
    rows -= rows.mean(axis=0)
    assert principal_coordinates(rows, None).shape == (40, 2)
    assert principal_coordinates(np.zeros((40, 5)), None).shape == (40, 0)


def test_noise_on_a_dead_dimension_is_no_alarm() -> None:
    # MiniLM has three: a change of 0.1 % there is harmless, and relative to their spread it is infinite.
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=(2, 300, 20))
    reference[:, 7] = 0.0
    current[:, 7] = 0.001 * rng.normal(size=300)
    assert not ComponentKS().compare(reference, current).drifted
    current[:, 7] = 1.0 + rng.normal(size=300)
    assert ComponentKS().compare(reference, current).drifted


@pytest.mark.parametrize("dimension", [100, 384, 768])
def test_equal_rows_have_equal_coordinates_wherever_they_stand(dimension: int) -> None:
    # A matrix product rounds its last rows otherwise on some processors.
    texts = np.random.default_rng(3).normal(size=(4, dimension))
    for n in (10, 13, 21, 103, 200):
        rows = texts[np.arange(n) % 4]
        ranked = without_rounding(principal_coordinates(rows - np.median(rows, axis=0), None))
        assert ranked.shape == (n, 3)
        assert all(len(np.unique(column)) <= 4 for column in ranked.T)


def test_large_samples_of_awkward_sizes_give_a_p_value_without_a_warning() -> None:
    rng = np.random.default_rng(2)
    found = ComponentKS(components=2).compare(rng.normal(size=(1500, 2)), rng.normal(size=(1499, 2)) + 1.0)
    assert found.drifted
    assert found.threshold is None


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="components should be a whole number of at least 1, got 0"):
        ComponentKS(components=0)
    with pytest.raises(ValueError, match="max_rows should be a whole number of at least 5, got 1"):
        ComponentKS(max_rows=1)
    with pytest.raises(ValueError, match="alpha should be between 0 and 1, got 5"):
        ComponentKS().compare(np.eye(6), np.eye(6), alpha=5)
