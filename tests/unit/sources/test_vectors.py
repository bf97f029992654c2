"""A column of vectors becomes one array, in its own memory where it can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchkit.errors import SourceError
from benchkit.sources.vectors import vectors_of_array, vectors_of_values

NAN = np.nan
X = np.arange(12, dtype=np.float32).reshape(4, 3)


def fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def lists(values: np.ndarray) -> pa.Array:
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))


def as_bytes(values: np.ndarray) -> pa.Array:
    return pa.array([row.tobytes() for row in values], pa.binary(values[0].nbytes))


def tensors(values: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(values)


@pytest.mark.parametrize("make", [fixed, lists, as_bytes, tensors])
@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(2, 2)], ids=["all", "middle", "none"])
def test_a_column_is_not_copied(make: Any, part: slice) -> None:
    array = make(X)
    sliced = array.slice(part.start or 0, len(X[part]))
    found = vectors_of_array(sliced, 3, "x", 0)
    np.testing.assert_array_equal(found, X[part])
    assert found.shape == X[part].shape
    assert found.dtype == np.float32
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    if found.size:
        numbers = storage.buffers()[1] if make is as_bytes else storage.values.buffers()[1]
        begin = numbers.address + (part.start or 0) * 12
        assert found.__array_interface__["data"][0] == begin


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float32())])
def test_a_missing_vector_is_a_row_of_nan_and_a_missing_number_is_nan(kind: Any) -> None:
    array = pa.array([None, [1, 2], None, [3, None], None], kind)
    expected = np.array([[NAN, NAN], [1, 2], [NAN, NAN], [3, NAN], [NAN, NAN]], np.float32)
    np.testing.assert_array_equal(vectors_of_array(array, None, "x", 0), expected)
    np.testing.assert_array_equal(vectors_of_array(array.slice(1, 3), None, "x", 0), expected[1:4])


def test_a_missing_row_of_bytes_is_nan() -> None:
    array = pa.array([X[0].tobytes(), None], pa.binary(12))
    np.testing.assert_array_equal(vectors_of_array(array, None, "x", 0), [[0, 1, 2], [NAN] * 3])


def test_int8_with_something_missing_becomes_float32() -> None:
    found = vectors_of_array(pa.array([[1, -2], None], pa.list_(pa.int8())), None, "x", 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, -2], [NAN, NAN]])


def test_a_column_of_nothing_needs_the_dimension() -> None:
    for array in (pa.nulls(2), pa.array([None, None], pa.list_(pa.float32()))):
        assert np.isnan(vectors_of_array(array, 3, "x", 0)).all()
        with pytest.raises(SourceError, match="x: no vector in rows 5 to 6, so the dimension isn't known; give it"):
            vectors_of_array(array, None, "x", 5)


def test_text_of_json_arrays_is_parsed() -> None:
    array = pa.array(["[1, 2.5]", None, " [3e0,-4]"])
    np.testing.assert_array_equal(vectors_of_array(array, None, "x", 0), [[1, 2.5], [NAN, NAN], [3, -4]])
    with pytest.raises(SourceError, match="x: row 4: the text '1 2' is no JSON array of numbers"):
        vectors_of_array(pa.array(["1 2"]), None, "x", 4)


def test_the_first_ragged_row_is_named() -> None:
    array = pa.array([[1, 2], None, [1, 2, 3], [1]], pa.list_(pa.float32()))
    with pytest.raises(SourceError, match="x: row 12: a vector of dimension 3, where the others have 2"):
        vectors_of_array(array, None, "x", 10)
    with pytest.raises(SourceError, match="x: row 10: a vector of dimension 2, where the others have 3"):
        vectors_of_array(array, 3, "x", 10)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (pa.array([1.5]), "found double, which holds no vectors; allowed: list"),
        (pa.array([[1]], pa.list_(pa.int64())), "a list of int64; allowed in a list: float16, float32, float64, int8"),
        (pa.array([[["a"]]]), "a list of list<"),
        (pa.array([b"abc"], pa.binary()), "found binary, which holds no vectors"),
        (pa.array([b"abc"], pa.binary(3)), "3 bytes a row are not whole float32 numbers; give the dimension"),
        (pa.array([[]], pa.list_(pa.float32())), "dimension 0; allowed: 1 to 65536"),
        (pa.array([{"a": 1}]), "found struct"),
    ],
    ids=range(7),
)
def test_another_type_is_refused(array: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        vectors_of_array(array, None, "x", 0)
    assert message in str(caught.value)


def test_bytes_that_do_not_fit_the_dimension_are_refused() -> None:
    with pytest.raises(SourceError, match="12 bytes a row are not 5 numbers of 1, 2, 4 or 8 bytes"):
        vectors_of_array(as_bytes(X), 5, "x", 0)


def test_a_tensor_of_two_axes_is_refused() -> None:
    with pytest.raises(SourceError, match=r"tensors of shape \[2, 2\], where one vector a row is needed"):
        vectors_of_array(tensors(np.ones((2, 2, 2), np.float32)), None, "x", 0)
    assert vectors_of_array(tensors(np.ones((2, 1, 3), np.float32)), None, "x", 0).shape == (2, 3)


def test_json_numbers_are_the_nearest_float32() -> None:
    found = vectors_of_values([[0.1, 1], [1e39, -2]], None, "x", 0)
    np.testing.assert_array_equal(found, np.array([[0.1, 1], [np.inf, -2]], np.float32))
    with_missing = vectors_of_values([[0.1, None], [1e39, -2], None], None, "x", 0)
    np.testing.assert_array_equal(with_missing, np.array([[0.1, NAN], [np.inf, -2], [NAN, NAN]], np.float32))


@pytest.mark.parametrize("values", [[[True, False]], [["1", "2"]], [{"a": 1}], ["[1]"], [[1, [2]]]])
def test_other_values_are_refused(values: list[Any]) -> None:
    with pytest.raises(SourceError, match="x: row 3: "):
        vectors_of_values(values, None, "x", 3)
