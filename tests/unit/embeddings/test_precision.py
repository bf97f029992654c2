from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.embeddings import precision as module
from benchkit.embeddings.precision import (
    Int8Quantizer,
    binarize,
    binary_values,
    bytes_per_vector,
    hamming,
    int8_dot,
    to_float16,
    truncate,
)


def _unit(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    vectors = rng.standard_normal((n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_truncated_vector_by_hand() -> None:
    vectors = np.array([[3, 4, 12], [0, 0, 1], [0, 5, 0]], np.float32)
    np.testing.assert_array_equal(truncate(vectors, 2, renormalize=False), [[3, 4], [0, 0], [0, 5]])
    np.testing.assert_allclose(truncate(vectors, 2, renormalize=True), [[0.6, 0.8], [0, 0], [0, 1]], rtol=1e-7)
    np.testing.assert_array_equal(vectors[0], [3, 4, 12])


def test_truncated_vectors_have_unit_length_even_where_float32_squares_vanish() -> None:
    vectors = np.array([[3e-30, 4e-30, 1], [3e30, 4e30, 1]], np.float32)
    got = truncate(vectors, 2, renormalize=True)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


def test_the_full_dimension_is_a_copy() -> None:
    vectors = np.ones((2, 3), np.float32)
    cut = truncate(vectors, 3, renormalize=False)
    cut[:] = 0
    assert vectors.all()


@pytest.mark.parametrize("dim", [0, -1, 4])
def test_a_dimension_out_of_range_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"can't keep {dim} dimensions of 3"):
        truncate(np.ones((2, 3), np.float32), dim, renormalize=True)


def test_float16_rounds_to_eleven_bits() -> None:
    got = to_float16(np.array([[1 + 2**-11, 1 + 3 * 2**-11, -65504, 0.1]], np.float32))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[1, 1 + 2**-9, -65504, 0.0999755859375]])


def test_a_value_beyond_float16_is_refused() -> None:
    with pytest.raises(ValueError, match="float16 ends at 65504, the vectors reach 70000"):
        to_float16(np.array([[1, -70000]], np.float32))


def test_int8_codes_by_hand() -> None:
    quantizer = Int8Quantizer(scale=0.5)
    codes = quantizer.codes(np.array([[0.5, -0.5, 0.25, 0.75, 100, -100, 0.6]], np.float32))
    assert codes.dtype == np.int8
    assert codes.tolist() == [[1, -1, 0, 2, 127, -127, 1]]
    np.testing.assert_array_equal(quantizer.values(codes), [[0.5, -0.5, 0, 1, 63.5, -63.5, 0.5]])


def test_the_scale_is_the_quantile_of_the_sizes() -> None:
    vectors = np.random.default_rng(0).standard_normal((2_000, 50)).astype(np.float32)
    expected = np.sort(np.abs(vectors).ravel())[-2:]  # the 0.99999 quantile of 100,000 values lies between these two
    assert expected[0] / 127 <= Int8Quantizer.fit(vectors).scale <= expected[1] / 127


def test_one_odd_value_in_many_does_not_decide_the_scale() -> None:
    vectors = np.random.default_rng(0).uniform(-1, 1, (4_000, 100)).astype(np.float32)
    vectors[17, 3] = 1000
    assert Int8Quantizer.fit(vectors).scale == pytest.approx(1 / 127, rel=1e-3)


def test_rows_beyond_the_sample_are_spread_over_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CALIBRATION_ROWS", 10)
    vectors = np.ones((95, 2), np.float32)
    vectors[90] = 5  # row 90 is the last of every tenth
    assert Int8Quantizer.fit(vectors).scale == pytest.approx(5 / 127, rel=1e-3)


def test_zeros_and_nearly_empty_vectors_have_a_scale() -> None:
    zeros = np.zeros((3, 4), np.float32)
    assert Int8Quantizer.fit(zeros) == Int8Quantizer(scale=1.0)
    assert not Int8Quantizer.fit(zeros).codes(zeros).any()
    sparse = np.zeros((1_000, 1_000), np.float32)
    sparse[0, 0] = 2
    assert Int8Quantizer.fit(sparse).codes(sparse[:1, :1]).tolist() == [[127]]
    tiny = np.full((1, 2), 1e-45, np.float32)
    assert not Int8Quantizer.fit(tiny).codes(tiny).any()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.empty((0, 3)), "no vectors"),
        (np.array([[1, np.nan]]), "NaN or inf"),
        (np.array([[1, np.inf]]), "NaN or inf"),
    ],
    ids=["none", "nan", "infinity"],
)
def test_a_scale_is_not_fitted_to_nothing(vectors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Int8Quantizer.fit(vectors.astype(np.float32))


def test_a_coded_value_is_at_most_half_a_step_away_inside_the_limit() -> None:
    vectors = _unit(np.random.default_rng(0), 300, 64)
    quantizer = Int8Quantizer.fit(vectors)
    inside = np.abs(vectors) <= 127 * quantizer.scale
    error = np.abs(quantizer.values(quantizer.codes(vectors)) - vectors)
    assert inside.mean() > 0.999
    assert error[inside].max() <= quantizer.scale * 0.5001


def test_int8_keeps_the_neighbours_where_two_dimensions_are_wide() -> None:
    rng = np.random.default_rng(0)
    width = np.ones(384)
    width[:2] = 8
    docs, queries = (
        (x := rng.standard_normal((n, 384)) * width) / np.linalg.norm(x, axis=1)[:, None] for n in (2000, 50)
    )
    quantizer = Int8Quantizer.fit(docs.astype(np.float32))
    scores = int8_dot(quantizer.codes(queries.astype(np.float32)), quantizer.codes(docs.astype(np.float32)))
    exact, coded = (np.argsort(-s, axis=1)[:, :10] for s in (queries @ docs.T, scores))
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, coded, strict=True)])
    assert overlap > 0.9  # 0.17 with the quantile 1 - 1/(d + 1)


def _slow_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[sum(int(x) * int(y) for x, y in zip(p, q, strict=True)) for q in b] for p in a], np.int64)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 40), st.integers(0, 2**32))
def test_int8_dot_agrees_with_the_loop(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-128, 128, (rows, d)).astype(np.int8) for rows in (n, m))
    np.testing.assert_array_equal(int8_dot(a, b), _slow_dot(a, b).reshape(n, m))


@pytest.mark.parametrize("d", [1023, 1024, 1025, 1040, 1041, 3072])
def test_int8_dot_is_exact_for_the_largest_codes(d: int) -> None:
    rng = np.random.default_rng(d)
    a = np.stack(
        [np.full(d, -128), np.full(d, 127), np.where(rng.random(d) < 0.5, -128, 127), np.full(d, -127)]
    ).astype(np.int8)
    a[1, -1] = 126  # an odd sum above 2**24, which float32 can't hold
    got = int8_dot(a, a)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, a.astype(np.int64) @ a.astype(np.int64).T)


def test_int8_dot_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-127, 128, (n, 30)).astype(np.int8) for n in (25, 33))
    whole = int8_dot(a, b)
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 8)
    monkeypatch.setattr(module, "_EXACT_DIMENSIONS", 7)
    np.testing.assert_array_equal(int8_dot(a, b), whole)


def test_bits_by_hand() -> None:
    vectors = np.array([[1, -1, 0, 2, -2, 3, -3, 4, 5], [0] * 9], np.float32)
    np.testing.assert_array_equal(binarize(vectors), [[0b10010101, 0b10000000], [0, 0]])
    np.testing.assert_array_equal(binary_values(binarize(vectors), 9), [[1, -1, -1, 1, -1, 1, -1, 1, 1], [-1] * 9])


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 200), st.integers(0, 2**32))
def test_the_hamming_distance_is_the_dot_product_of_the_signs(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (binarize(rng.standard_normal((rows, d)).astype(np.float32)) for rows in (n, m))
    distances = hamming(a, b)
    assert distances.dtype == np.int32
    np.testing.assert_array_equal(d - 2 * distances, binary_values(a, d) @ binary_values(b, d).T)


def test_the_largest_distance_is_not_cut_to_eight_bits() -> None:
    everything, nothing = np.full((1, 384), 255, np.uint8), np.zeros((1, 384), np.uint8)
    assert hamming(everything, nothing).tolist() == [[3072]]


def test_hamming_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (n, 48), dtype=np.uint8) for n in (25, 33))
    whole = hamming(a, b)
    monkeypatch.setattr(module, "_HAMMING_CELLS_AT_A_TIME", 100)
    np.testing.assert_array_equal(hamming(a, b), whole)


def test_rows_of_different_width_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of different width: 2 and 3"):
        hamming(np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match="rows of different width: 2 and 3"):
        int8_dot(np.zeros((1, 2), np.int8), np.zeros((1, 3), np.int8))
    with pytest.raises(ValueError, match="17 dimensions take 3 bytes, got 2"):
        binary_values(np.zeros((1, 2), np.uint8), 17)


def test_the_bytes_of_a_vector() -> None:
    assert [bytes_per_vector(384, p) for p in ("float32", "float16", "int8", "binary")] == [1536, 768, 384, 48]
    assert bytes_per_vector(9, "binary") == 2
