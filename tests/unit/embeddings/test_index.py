from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.index import KeyIndex


def _keys(*rows: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(row.ljust(16, b"\0") for row in rows), np.uint8).reshape(-1, 16)


def test_the_first_row_of_a_key_is_the_one_that_is_found() -> None:
    index = KeyIndex()
    index.add(_keys(b"b", b"a", b"b"))
    index.add(_keys(b"c", b"a"))
    assert index.find(_keys(b"a", b"b", b"c", b"d")).tolist() == [1, 0, 3, -1]
    assert (index.n_rows, index.n_distinct) == (5, 3)


def test_keys_that_differ_only_in_their_last_byte_or_in_zeros_are_told_apart() -> None:
    stem = b"\0" * 15
    index = KeyIndex()
    index.add(_keys(stem + b"\0", stem + b"\1", stem + b"\xff", b"a", b"a\0b"))
    assert index.find(_keys(stem + b"\xff", stem + b"\0", b"a\0b", stem + b"\2", b"a")).tolist() == [2, 0, 4, -1, 3]


def test_an_empty_index_finds_nothing() -> None:
    index = KeyIndex()
    assert index.find(_keys(b"a")).tolist() == [-1]
    assert index.find(np.empty((0, 16), np.uint8)).tolist() == []


def test_a_forgotten_row_can_be_added_again() -> None:
    index = KeyIndex()
    index.add(_keys(b"a", b"b"))
    index.forget(np.array([0]))
    assert index.find(_keys(b"a", b"b")).tolist() == [-1, 1]
    index.add(_keys(b"a"))
    assert index.find(_keys(b"a", b"b")).tolist() == [2, 1]


@given(
    st.lists(st.lists(st.binary(min_size=16, max_size=16), max_size=6)), st.lists(st.binary(min_size=16, max_size=16))
)
def test_it_agrees_with_a_dictionary(batches: list[list[bytes]], others: list[bytes]) -> None:
    index = KeyIndex()
    twin: dict[bytes, int] = {}
    row = 0
    for batch in batches:
        for key in batch:
            twin.setdefault(key, row)
            row += 1
        index.add(_keys(*batch))
        wanted = [*twin, *others]
        assert index.find(_keys(*wanted)).tolist() == [twin.get(key, -1) for key in wanted]


def test_a_hundred_thousand_keys_are_found_among_as_many_in_any_order() -> None:
    keys = text_keys([str(number) for number in range(100_000)])
    index = KeyIndex()
    index.add(keys)
    order = np.random.default_rng(0).permutation(len(keys))
    np.testing.assert_array_equal(index.find(keys[order]), order)


@pytest.mark.parametrize("keys", [np.zeros((2, 15), np.uint8), np.zeros((2, 16), np.int8), np.zeros(16, np.uint8)])
def test_keys_of_another_shape_are_refused(keys: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"keys must be uint8 \(n, 16\), got "):
        KeyIndex().find(keys)
