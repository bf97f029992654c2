"""Counts over rows, their merge and the sample of row hashes."""

from __future__ import annotations

import functools
import io
import math
import struct
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.drift import row_facts as facts_module
from benchkit.drift.health import SAMPLE, Health, finite_rows, measure_health
from benchkit.drift.row_facts import row_facts, row_hashes, row_lengths

HASHES = ["0x66e8a0edd019ba4f", "0x65ca0708520aa62b"]
HASHES_INT8 = ["0x5364d6ff3fa53977", "0xc189f614dcc41e7a"]
FLOATS = [np.float16, np.float32, np.float64]


def unit_rows(n: int, d: int = 16, *, seed: int = 0, dtype: type = np.float32) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


def assert_same(a: Health, b: Health) -> None:
    """Counts exactly, sums of lengths but for rounding."""
    mine, other = a.to_arrays(), b.to_arrays()
    np.testing.assert_allclose(mine.pop("norms"), other.pop("norms"), rtol=1e-9)
    for name, array in mine.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


# measured


@pytest.mark.parametrize("dtype", FLOATS)
def test_counts_by_hand(dtype):
    rows = np.array([[3, 4], [3, 4], [0, 1], [0, 0], [np.nan, 1], [np.inf, -np.inf], [-0.0, 0.0]], dtype=dtype)

    health = measure_health(rows)

    assert (health.rows, health.nonfinite, health.zero, health.good) == (7, 2, 2, 3)
    assert health.norm_mean == pytest.approx((5 + 5 + 1) / 3)
    assert health.norm_deviation == pytest.approx(np.std([5, 5, 1]))
    assert health.unit == 1
    assert (health.distinct, health.commonest) == (2, 2)
    assert health.dtype_rows.tolist() == [7 * (dtype is each) for each in FLOATS] + [0, 0]


@pytest.mark.parametrize("dtype", [*FLOATS, np.int8, np.uint8, ">f4", ">f8"])
@pytest.mark.parametrize("width", [1, 3, 8, 17])
def test_every_count_agrees_with_one_row_after_another(dtype, width):
    rng = np.random.default_rng(width)
    rows = (rng.integers(0, 3, (300, width)) * 40).astype(dtype)
    if rows.dtype.kind == "f":
        rows[5, 0], rows[9, -1] = np.nan, -np.inf
    wide = rows.astype(np.float64)

    health = measure_health(rows)

    finite = [row for row in wide if all(math.isfinite(value) for value in row)]
    lengths = [math.sqrt(math.fsum(value * value for value in row)) for row in finite if any(row)]
    copies = Counter(tuple(row) for row in finite if any(row))
    assert health.nonfinite == len(wide) - len(finite)
    assert health.zero == len(finite) - len(lengths)
    assert health.norm_sum == pytest.approx(math.fsum(lengths))
    assert health.norm_square_sum == pytest.approx(math.fsum(length**2 for length in lengths))
    if len(copies) < SAMPLE:
        assert health.distinct == len(copies)
        assert health.commonest == max(copies.values())
        assert sorted(health.hash_counts.tolist()) == sorted(copies.values())
    assert finite_rows(rows).tolist() == [all(math.isfinite(value) for value in row) for row in wide]


@pytest.mark.parametrize("dtype", [*FLOATS, np.int8, ">f4"])
def test_facts_of_many_chunks_are_those_of_one_row_after_another(dtype, monkeypatch):
    monkeypatch.setattr(facts_module, "_CHUNK_BYTES", 100)
    rows = np.random.default_rng(1).normal(scale=9, size=(50, 5)).astype(dtype)
    rows[[7, 49]] = 0
    if rows.dtype.kind == "f":
        rows[3, 1], rows[30, 0] = np.nan, np.inf
        rows[[4, 40]] *= 1e-4 if dtype is np.float16 else 1e-25

    found = row_facts(rows)

    native = rows.astype(rows.dtype.newbyteorder("="))
    alone = [(*row_lengths(native[place : place + 1]), row_hashes(native[place : place + 1])) for place in range(50)]
    for together, each in zip((found.lengths, found.finite, found.hashes), zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(together, np.concatenate(each))
    assert found.lengths[4] > 0 or rows.dtype.kind == "i"


def test_lengths_fall_into_half_octaves_and_fine_bins_around_one():
    lengths = np.array([1e-9, 2.0**-16, 0.9, 1.0, 1.4, 1.5, 2.0, 65535.0, 65536.0, 1e9])
    health = measure_health(lengths[:, None])

    # half-octaves start at 2^-16 in bin 1, so 2^0 opens bin 33 and sqrt(2) = 1.414 bin 34
    expected = Counter([0, 1, 32, 33, 33, 34, 35, 64, 65, 65])
    assert {place: count for place, count in enumerate(health.norm_bins) if count} == expected
    assert health.unit_bins[20] == health.unit_bins.sum() == 1

    around = measure_health(np.array([[0.9945], [0.995], [0.998], [1.003], [1.005], [1.0055]]))
    assert around.unit == 4


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1e-30, np.float32),
        (1e-21, np.float32),
        (3e38, np.float32),
        (1e-200, np.float64),
        (1e-160, np.float64),
        (1e200, np.float64),
    ],
)
def test_lengths_beyond_the_square_of_the_number_format_are_right(value, dtype):
    health = measure_health(np.full((2, 4), value, dtype=dtype))

    assert (health.nonfinite, health.zero) == (0, 0)
    assert health.norm_mean == pytest.approx(2 * value, rel=1e-6, abs=0)
    assert health.norm_deviation >= 0


def test_a_length_beyond_the_largest_number_is_still_finite():
    health = measure_health(np.full((1, 4), 1.7e308))

    assert health.nonfinite == 0
    assert health.norm_mean == np.finfo(np.float64).max


@pytest.mark.parametrize("dtype", FLOATS)
def test_unit_rows_count_as_unit_in_every_type(dtype):
    health = measure_health(unit_rows(500, 384, dtype=dtype))
    assert health.unit == 500


def test_rows_normalised_in_bfloat16_count_as_unit():
    rows = unit_rows(500, 384)
    cut = (rows.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)  # towards zero: worse than rounding
    assert measure_health(cut).unit == 500


def test_no_rows_at_all():
    health = measure_health(np.zeros((0, 5), np.float32))

    assert_same(health, Health.empty(5))
    assert math.isnan(health.norm_mean)
    assert math.isnan(health.norm_deviation)
    assert (health.distinct, health.commonest) == (0, 0)
    assert finite_rows(np.zeros((0, 5), np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(3, np.float32), r"vectors should be \(rows, dimension\), got an array of shape \(3,\)"),
        (np.zeros((2, 2), np.int32), "vectors should be float16, float32, float64, int8, uint8, got int32"),
        (np.array([["a"]]), "got <U1"),
        (np.zeros((2, 0), np.float32), "the dimension of vectors is at least 1, got 0"),
    ],
)
def test_what_is_no_vectors_is_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        measure_health(vectors)


# hashes


def test_hashes_are_the_same_in_every_version():
    """Kept in baselines: a change would make every row look new."""
    rows = np.array([[0.0, 1.0, -2.0], [0.5, 0.25, 3.0]], np.float32)
    assert [hex(each) for each in row_hashes(rows)] == HASHES
    assert [hex(each) for each in row_hashes(rows.astype(np.int8))] == HASHES_INT8


def test_hashes_do_not_depend_on_the_byte_order():
    rows = unit_rows(20)
    assert_same(measure_health(rows.astype(">f4")), measure_health(rows))


@pytest.mark.parametrize("n_words", [1, 7, 8])
def test_hashes_agree_with_whole_numbers_of_any_length(n_words):
    rows = unit_rows(5, n_words)
    most, factors = 2**64 - 1, [int(each) | 1 for each in np.random.Philox(key=0x62656E63686B6974).random_raw(n_words)]
    for row, found in zip(rows, row_hashes(rows), strict=True):
        words = struct.unpack(f"<{n_words}I", row.astype("<f4").tobytes())
        mixed = sum(word * factor for word, factor in zip(words, factors, strict=True)) & most
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & most
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & most
        assert found == mixed ^ mixed >> 31


@pytest.mark.parametrize("make", ["one-hot", "signs", "last bit", "top bytes"])
def test_rows_that_hardly_differ_have_different_hashes(make):
    rng = np.random.default_rng(1)
    if make == "one-hot":
        rows = np.eye(2000, dtype=np.float32)
    elif make == "signs":
        rows = np.unique(rng.choice(np.array([-1, 1], np.float32), (4000, 64)), axis=0)
    elif make == "last bit":
        rows = np.ones((3000, 3000), np.float32)
        rows[np.diag_indices(3000)] = np.nextafter(np.float32(1), np.float32(2))
    else:
        rows = np.zeros((4000, 64), np.int8)
        rows[:, 3::4] = np.unique(rng.integers(0, 2, (8000, 16), np.int8), axis=0)[:4000]
    assert len(np.unique(row_hashes(rows))) == len(rows)


def test_hashes_are_uniform_over_their_range():
    hashes = row_hashes(np.eye(4000, 200, dtype=np.float32) + np.arange(4000, dtype=np.float32)[:, None])
    for bits in (hashes >> np.uint64(60), hashes & np.uint64(15)):
        counts = np.bincount(bits.astype(np.int64), minlength=16)
        # chi-square with 15 degrees of freedom: above 60 once in 4 million
        assert ((counts - 250) ** 2 / 250).sum() < 60


# merge


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=5), st.integers(1, 400), st.randoms(use_true_random=False))
def test_parts_merge_to_the_whole_in_any_order(cuts, kinds, random):
    rng = np.random.default_rng(kinds)
    rows = unit_rows(kinds, seed=kinds)[rng.integers(0, kinds, 700)]
    rows[3], rows[4] = np.nan, 0
    places = [0, *sorted(cuts), 700]
    parts = [measure_health(rows[start:end]) for start, end in pairwise(places)]
    random.shuffle(parts)

    assert_same(functools.reduce(lambda a, b: a + b, parts), measure_health(rows))


def test_64_parts_of_many_rows_merge_exactly():
    rows = unit_rows(20_000, 8)
    parts = [measure_health(part) for part in np.array_split(rows, 64)]
    assert_same(sum(parts[1:], parts[0]), measure_health(rows))


def test_parts_of_different_types_count_by_type():
    health = measure_health(unit_rows(3)) + measure_health(unit_rows(2, dtype=np.float16))
    assert health.dtype_rows.tolist() == [2, 3, 0, 0, 0]


def test_parts_of_different_dimensions_are_refused():
    with pytest.raises(ValueError, match="dimensions differ: 3 and 4"):
        Health.empty(3) + Health.empty(4)


# distinct and common rows


def test_the_estimate_of_distinct_rows_is_right_within_its_error():
    copies = np.random.default_rng(3).integers(0, 5000, 60_000)
    health = measure_health(unit_rows(5000)[copies])
    # 6.3 % standard error, 6 of them
    assert health.distinct == pytest.approx(len(np.unique(copies)), rel=0.38)
    assert len(health.hashes) == SAMPLE


def test_estimates_of_distinct_rows_are_right_on_the_average():
    rows = unit_rows(40_000, 4)
    found = [measure_health(part).distinct for part in np.array_split(rows, 20)]
    # 20 estimates of 2000 rows, at most 2000 each because no more rows are there: the mean of min(1, 1 + 0.063 z) is
    # 0.975, with a standard error of 0.008
    assert np.mean(found) == pytest.approx(0.975 * 2000, rel=0.05)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5, 0.99])
def test_one_row_that_floods_many_others_is_measured(share):
    rows = unit_rows(20_000, 8)
    rows[: int(share * 20_000)] = rows[0]
    assert measure_health(rows).commonest == pytest.approx(share * 20_000, abs=0.005 * 20_000)


def test_without_a_flood_the_commonest_row_is_small():
    for seed in range(20):
        assert measure_health(unit_rows(2000, 8, seed=seed)).commonest == 1


@pytest.mark.parametrize("rows", [1, 10, 57, 100])
def test_duplicates_among_fewer_rows_agree_with_the_definition(rows):
    copies = [40, 33, 17, 5, 3, 1, 1]  # 100 rows
    total = sum(copies)
    health = measure_health(np.repeat(unit_rows(len(copies)), copies, axis=0))

    share, _ = health.duplicates_in(rows)

    absent = [math.comb(total - each, rows) / math.comb(total, rows) for each in copies]
    assert share == pytest.approx(1 - sum(1 - each for each in absent) / rows, abs=1e-7)


def test_duplicates_among_fewer_rows_agree_with_drawing_them():
    rng = np.random.default_rng(5)
    copies = rng.zipf(1.8, 4000).clip(max=30)
    rows = np.repeat(unit_rows(4000, 4), copies, axis=0)
    found, error = measure_health(rows).duplicates_in(1000)
    names = np.repeat(np.arange(4000), copies)
    drawn = [1 - len(np.unique(rng.choice(names, 1000, replace=False))) / 1000 for _ in range(50)]
    assert 0 < error < 0.1
    assert abs(found - np.mean(drawn)) < 5 * error


def test_duplicates_among_few_of_a_billion_rows_keep_their_digits():
    doubled = measure_health(unit_rows(200, 4))
    for _ in range(23):
        doubled = doubled + doubled
    # 500 draws from 200 equally common rows
    assert doubled.duplicates_in(500)[0] == pytest.approx(1 - 200 * (1 - (199 / 200) ** 500) / 500, rel=1e-6)

    different = replace(measure_health(unit_rows(5000, 4)), rows=10**10)
    assert different.duplicates_in(500)[0] == pytest.approx(0, abs=1e-9)


def test_rows_without_duplicates_have_none_among_fewer():
    assert measure_health(unit_rows(5000, 4)).duplicates_in(700) == (
        pytest.approx(0, abs=1e-9),
        pytest.approx(0, abs=1e-9),
    )


@pytest.mark.parametrize("rows", [0, 11])
def test_duplicates_among_more_rows_than_there_are_is_refused(rows):
    with pytest.raises(ValueError, match=f"of 1 to 10 rows, got {rows}"):
        measure_health(unit_rows(10)).duplicates_in(rows)


# kept


def test_a_record_survives_a_file_and_is_small():
    rows = unit_rows(50_000, 8)
    rows[7] = np.nan
    health = measure_health(rows)
    file = io.BytesIO()
    np.savez(file, **health.to_arrays())
    file.seek(0)

    back = Health.from_arrays(dict(np.load(file)))

    assert_same(back, health)
    assert_same(back + measure_health(unit_rows(5, 8)), health + measure_health(unit_rows(5, 8)))
    assert sum(array.nbytes for array in health.to_arrays().values()) <= 5000


def test_a_record_of_four_billion_rows_is_at_most_5_kb():
    health = measure_health(unit_rows(2000, 8))
    for _ in range(21):
        health = health + health
    assert health.rows == 2000 * 2**21
    assert sum(array.nbytes for array in health.to_arrays().values()) <= 5000


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("norms", None, "the health record lacks norms; is the file damaged"),
        ("buckets", lambda a: a[:5], r"the health record's buckets should be \(64,\), got \(5,\)"),
        ("hashes", lambda a: a[None], r"the health record's hashes should be \(n,\), got \(1, 3\)"),
        ("hashes", lambda a: a[::-1], "contradict"),
        ("hash_counts", lambda a: a[:-1], "contradict"),
        ("hash_counts", lambda a: a * 9, "contradict"),
        ("sizes", lambda a: a + np.array([0, 1, 0, 0]), "contradict"),
        ("sizes", lambda a: a * np.array([0, 1, 1, 1]), "contradict"),
        ("norm_bins", lambda a: a * 2, "contradict"),
        ("dtype_rows", lambda a: a * 2, "contradict"),
        ("buckets", lambda a: a.astype(np.int64) - 1, "contradict"),
    ],
)
def test_a_damaged_record_is_refused(name, change, message):
    arrays = measure_health(unit_rows(3)).to_arrays()
    arrays = {key: array for key, array in arrays.items() if key != name} | (
        {name: change(arrays[name])} if change else {}
    )
    with pytest.raises(ValueError, match=message):
        Health.from_arrays(arrays)


@pytest.mark.parametrize("n_other", [400, 20_000])
def test_the_share_of_rows_that_another_has_too_is_known(n_other: int) -> None:
    rng = np.random.default_rng(3)
    other = rng.normal(size=(n_other, 4)).astype(np.float32)
    own = rng.normal(size=(3_000, 4)).astype(np.float32)
    for share in (0.0, 0.5, 1.0):
        n_shared = int(share * min(3_000, n_other))
        here = np.vstack([other[:n_shared], own[: int(n_shared / share - n_shared) if share else 2_500]])
        found = measure_health(here).share_in(measure_health(other))
        assert found is not None
        assert found == pytest.approx(share, abs=0.25)
        assert (found in (0.0, 1.0)) is (share in (0.0, 1.0))


def test_a_few_hashes_tell_no_share() -> None:
    rows = np.random.default_rng(4).normal(size=(10, 4)).astype(np.float32)
    assert measure_health(rows).share_in(measure_health(rows)) is None


def test_rows_of_a_catalogue_are_there_again_as_often_as_new_ones_will_be():
    """1,000 rows of 560 things: 84 % of the next are among them, and 83 % of these are there more than once."""
    rng = np.random.default_rng(0)
    things = rng.normal(size=(560, 4)).astype(np.float32)
    seen, later = (rng.integers(560, size=n) for n in (1000, 20_000))
    assert measure_health(things[seen]).again == pytest.approx(np.isin(later, seen).mean(), abs=0.06)
    assert measure_health(things).again == 0.0
    assert measure_health(np.vstack([things, things])).again == 1.0
