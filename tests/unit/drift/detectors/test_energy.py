"""Energy distance against SciPy's in one dimension and the double loop in more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import energy_distance as scipy_energy_distance

from benchkit.drift.detectors.energy import EnergyDistance, energy_distance

RNG = np.random.default_rng(21)


def labels(n: int, m: int) -> np.ndarray:
    return (np.arange(n + m) < n)[:, None]


def test_energy_distance_of_two_points_is_twice_how_far_they_are() -> None:
    assert energy_distance(np.array([[0.0], [0.0], [3.0], [3.0]]), labels(2, 2)) == pytest.approx([6.0])


@pytest.mark.parametrize(("n", "m"), [(10, 10), (30, 7)])
def test_energy_distance_is_the_square_of_scipys_in_one_dimension(n: int, m: int) -> None:
    x, y = RNG.normal(size=n), RNG.exponential(size=m)
    found = energy_distance(np.concatenate([x, y])[:, None], labels(n, m))
    assert found == pytest.approx([scipy_energy_distance(x, y) ** 2])


def test_energy_distance_agrees_with_the_double_loop_in_five_dimensions() -> None:
    reference, current = RNG.normal(size=(14, 5)), RNG.normal(size=(9, 5)) + 1

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.linalg.norm(x - y) for x in a for y in b]))

    expected = 2 * mean(reference, current) - mean(reference, reference) - mean(current, current)
    assert EnergyDistance().compare(reference, current).statistic == pytest.approx(expected)


def test_energy_distance_is_never_negative_and_zero_for_the_same_rows() -> None:
    rows = RNG.normal(size=(20, 3))
    assert energy_distance(np.concatenate([rows, rows]), labels(20, 20)) == pytest.approx([0.0], abs=1e-7)
    many = np.array([RNG.permutation(40) < 20 for _ in range(200)]).T
    assert energy_distance(RNG.normal(size=(40, 3)), many).min() > 0


def test_energy_distance_scales_with_the_vectors() -> None:
    reference, current = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 3))
    first, second = (EnergyDistance().compare(reference * scale, current * scale) for scale in (1.0, 8.0))
    assert second.statistic == pytest.approx(8 * first.statistic)
    assert second.p_value == first.p_value or abs(second.p_value - first.p_value) < 0.2  # another order of the rows


def test_a_shift_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(4)
    reference = rng.normal(size=(300, 4))
    assert EnergyDistance().compare(reference, rng.normal(size=(300, 4)) + 0.4).drifted
    assert not EnergyDistance().compare(reference, rng.normal(size=(300, 4))).drifted


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"permutations should be a whole number of at least 1, got 1\.5"):
        EnergyDistance(permutations=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_rows should be a whole number of at least 5, got 0"):
        EnergyDistance(max_rows=0)
