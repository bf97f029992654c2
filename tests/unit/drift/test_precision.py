"""How many bits numbers hold: by hand, beside NumPy's own half precision, and of parts that add up."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.health import Health, measure_health
from benchkit.drift.precision import Precision, measure_precision, rounded


def unit_rows(n: int, d: int = 48, *, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ALL = np.zeros(1, np.uint64)  # a hash that is picked


def measured(values: list[float], dtype: type = np.float32) -> Precision:
    return measure_precision(np.array([values], dtype), ALL)


def test_bits_by_hand() -> None:
    # 1, 1.5 and 255 need 8 bits at most, 257 and 1 + 2^-10 need 9 and 11, 0.1 needs all; zeros and NaN aren't counted.
    assert measured([1, -1.5, 255, 257, 1 + 2**-10, 0.1, 0, -0.0, np.nan, -np.inf]) == Precision(6, 3, 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, ">f4"])
def test_a_wider_or_narrower_type_says_nothing_of_the_numbers(dtype: type) -> None:
    assert measured([1, 3, -100, 0], dtype) == Precision(3, 3, 3)


def test_numbers_that_went_through_half_precision_hold_11_bits_and_no_others_do() -> None:
    rows = unit_rows(4000)
    full, half = measure_health(rows).precision, measure_health(rows.astype(np.float16).astype(np.float32)).precision
    assert 4000 / 8 * 16 * 0.8 < full.values < 4000 / 8 * 16 * 1.2
    assert full.share(11) < 0.002
    assert half.in_11 == half.values
    assert 0.05 < half.share(8) < 0.2


def test_rounding_to_11_bits_is_that_of_half_precision() -> None:
    # Of numbers that float16 does not hold as subnormal ones.
    rows = unit_rows(2000, seed=4)
    rows = rows[np.abs(rows) > 2**-14][:10_000]
    np.testing.assert_array_equal(rounded(rows, 11), rows.astype(np.float16).astype(np.float32))


def test_numbers_rounded_to_8_bits_are_told() -> None:
    cut = rounded(unit_rows(2000), 8)
    found = measure_health(cut).precision
    assert found.in_8 == found.in_11 == found.values
    assert np.abs(cut / unit_rows(2000) - 1).max() <= 2**-8


def test_parts_add_up_to_the_whole_exactly() -> None:
    rows = unit_rows(3000)
    rows[::3] = rounded(rows[::3], 8)
    total = sum((measure_health(part) for part in np.array_split(rows, 64)), Health.empty(48))
    assert total.precision == measure_health(rows).precision
    assert total.precision.share(8) == pytest.approx(1 / 3, abs=0.06)


def test_a_record_of_an_older_benchkit_holds_no_values() -> None:
    arrays = measure_health(unit_rows(500)).to_arrays()
    assert Health.from_arrays(arrays).precision.values > 0
    del arrays["precision"]
    assert Health.from_arrays(arrays).precision == Precision()


@pytest.mark.parametrize("counts", [[5, 6, 7], [5, 3, 2], [-1, -1, -1]])
def test_counts_that_contradict_each_other_are_refused(counts: list[int]) -> None:
    arrays = measure_health(unit_rows(50)).to_arrays() | {"precision": np.array(counts)}
    with pytest.raises(ValueError, match="contradict each other"):
        Health.from_arrays(arrays)
