"""A column of vectors as one array (n, d), without a copy wherever the memory already lies like that.

    fixed_size_list · fixed_shape_tensor · FixedSizeBinary · list · large_list · list_view · text "[0.1, 0.2]"
    · JSON arrays
        ──> (n, d) float16, float32, float64 or int8

A missing vector is a row of NaN, so that the health check counts it; a missing number in a vector is NaN as well. int8
has no NaN: a batch of it with something missing becomes float32. FixedSizeBinary holds little-endian numbers: float32,
or what the dimension says that it is, or what rows of the same width are known to be. JSON numbers become float32, in
which models compute.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.times import python_values
from benchkit.sources.words import shown

# More than any model has, and what bounds the memory that a forged header can ask for.
MAX_DIMENSION = 65_536
NUMBER_TYPES = ("float16", "float32", "float64", "int8")
ALLOWED = (
    "list, large_list, list_view or fixed_size_list of half, float, double or int8, fixed_shape_tensor, FixedSizeBinary"
)
_BY_WIDTH = {1: "<i1", 2: "<f2", 4: "<f4", 8: "<f8"}


class Stored(NamedTuple):
    """How vectors are known to be stored: `dimension` numbers of `item_bytes` each."""

    dimension: int
    item_bytes: int


def vectors_of_array(
    array: Any, dimension: int | None, place: str, first_row: int, *, known: Stored | None = None
) -> NDArray[np.generic]:
    """Return the vectors of an Arrow array, (n, d).

    Args:
        dimension: What each vector must have; None takes it from the column or from the first vector.
        place: File and column, for messages; rows are counted from `first_row`.
        known: What FixedSizeBinary of exactly that width is, where no dimension is given. Of another width it is
            float32 as without: cut by the dimension alone, a model of half as many numbers would pass for float16.

    Raises:
        SourceError: another type, vectors of different dimensions, or none at all and no dimension given.
    """
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        array = _storage_of_tensor(array, place)
    if pa.types.is_fixed_size_list(array.type):
        return _of_fixed_lists(array, dimension, place, first_row)
    if pa.types.is_fixed_size_binary(array.type):
        if dimension is None and known is not None and array.type.byte_width == known.dimension * known.item_bytes:
            dimension = known.dimension
        return _of_bytes(array, dimension, place)
    if is_list(array.type):
        return _of_lists(array, dimension, place, first_row)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        return vectors_of_values(_parsed(python_values(array, place), place, first_row), dimension, place, first_row)
    if pa.types.is_null(array.type):
        return _missing(len(array), dimension, place, first_row)
    raise SourceError(f"{place}: found {shown(str(array.type))}, which holds no vectors; allowed: {ALLOWED}")


def vectors_of_values(values: Sequence[Any], dimension: int | None, place: str, first_row: int) -> NDArray[np.generic]:
    """Return the vectors of Python lists of numbers, float32 (n, d); None is a row of NaN.

    Raises:
        SourceError: see `vectors_of_array`.
    """
    expected = _dimension_of_values(values, dimension, place, first_row)
    try:
        with np.errstate(over="ignore"):  # too large for float32 is infinite, which the health check counts
            whole = np.asarray(values)
            is_table = whole.ndim == 2 and whole.dtype.kind in "fi" and whole.shape[1] == expected
            if is_table and not _has_truths(values, whole):
                return whole.astype(np.float32)
    except (ValueError, OverflowError):
        pass  # ragged, or something is missing
    found = np.full((len(values), expected), np.nan, dtype=np.float32)
    for row, value in enumerate(values):
        if value is not None:
            found[row] = _checked(value, expected, place, first_row + row)
    return found


def is_list(kind: Any) -> bool:
    """Return whether an Arrow type is one of lists of any length."""
    import pyarrow as pa

    kinds = (pa.ListType, pa.LargeListType, pa.ListViewType, pa.LargeListViewType)
    return isinstance(kind, kinds) and not pa.types.is_map(kind)


def check_dimension(found: int, expected: int | None, place: str, row: int | None = None) -> int:
    """Return the dimension if it may be.

    Raises:
        SourceError: it isn't the expected one, or no dimension of a vector.
    """
    where = place if row is None else f"{place}: row {row}"
    if expected is not None and found != expected:
        raise SourceError(f"{where}: a vector of dimension {found}, where the others have {expected}")
    if not 1 <= found <= MAX_DIMENSION:
        raise SourceError(f"{where}: a vector of dimension {found}; allowed: 1 to {MAX_DIMENSION}")
    return found


def _storage_of_tensor(array: Any, place: str) -> Any:
    shape = getattr(array.type, "shape", None)
    if shape is None:
        return array.storage
    if sum(length != 1 for length in shape) > 1:
        raise SourceError(f"{place}: tensors of shape {list(shape)}, where one vector a row is needed")
    return array.storage


def _of_fixed_lists(array: Any, dimension: int | None, place: str, first_row: int) -> NDArray[np.generic]:
    width = array.type.list_size
    check_dimension(width, dimension, place)
    _check_numbers(array.type, place)
    numbers = _numbers(array.values.slice(array.offset * width, len(array) * width))
    vectors = numbers.reshape(len(array), width)
    return _without_missing(vectors, np.asarray(array.is_null())) if array.null_count else vectors


def _of_lists(array: Any, dimension: int | None, place: str, first_row: int) -> NDArray[np.generic]:
    _check_numbers(array.type, place)
    missing = np.asarray(array.is_null())
    lengths = array.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False)
    there = np.flatnonzero(~missing)
    if dimension is None and not there.size:
        return _missing(len(array), None, place, first_row)
    expected = int(lengths[there[0]]) if dimension is None else dimension
    wrong = there[lengths[there] != expected]
    if wrong.size:
        check_dimension(int(lengths[wrong[0]]), expected, place, first_row + int(wrong[0]))
    check_dimension(expected, None, place)
    held = _numbers(array.flatten()).reshape(there.size, expected)  # without the rows that are missing
    if there.size == len(array):
        return held
    found = np.full((len(array), expected), np.nan, dtype=_nullable(held.dtype))
    found[there] = held
    return found


def _of_bytes(array: Any, dimension: int | None, place: str) -> NDArray[np.generic]:
    width = array.type.byte_width
    size = 4 if dimension is None else width // dimension
    if width == 0 or size not in _BY_WIDTH or width % size or (dimension is not None and size * dimension != width):
        needed = "whole float32 numbers" if dimension is None else f"{dimension} numbers of 1, 2, 4 or 8 bytes"
        raise SourceError(f"{place}: {width} bytes a row are not {needed}; give the dimension")
    check_dimension(width // size, dimension, place)
    data = array.buffers()[1]
    raw = np.frombuffer(data, dtype=np.uint8, count=len(array) * width, offset=array.offset * width)
    vectors = raw.view(_BY_WIDTH[size]).reshape(len(array), width // size)
    return _without_missing(vectors, np.asarray(array.is_null())) if array.null_count else vectors


def _numbers(values: Any) -> NDArray[np.generic]:
    if not values.null_count:
        return np.asarray(values.to_numpy(zero_copy_only=True))
    raw = np.array(values.fill_null(0).to_numpy(zero_copy_only=False))
    return _without_missing(raw, np.asarray(values.is_null()))


def _without_missing(vectors: NDArray[np.generic], missing: NDArray[np.generic]) -> NDArray[np.generic]:
    filled = vectors.astype(_nullable(vectors.dtype))  # a copy: Arrow's own memory is not to be written
    filled[missing] = np.nan
    return filled


def _nullable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype.kind == "i" else dtype


def _missing(n_rows: int, dimension: int | None, place: str, first_row: int) -> NDArray[np.generic]:
    if dimension is None:
        raise SourceError(
            f"{place}: no vector in rows {first_row} to {first_row + n_rows - 1}, so the dimension isn't known; give it"
        )
    return np.full((n_rows, dimension), np.nan, dtype=np.float32)


def _check_numbers(kind: Any, place: str) -> None:
    name = {"halffloat": "float16", "float": "float32", "double": "float64"}.get(
        str(kind.value_type), str(kind.value_type)
    )
    if name not in NUMBER_TYPES:
        raise SourceError(f"{place}: a list of {shown(name)}; allowed in a list: {', '.join(NUMBER_TYPES)}")


def _parsed(texts: Sequence[str | None], place: str, first_row: int) -> list[Any]:
    parsed: list[Any] = []
    for row, text in enumerate(texts):
        try:
            parsed.append(None if text is None else json.loads(text))
        except (ValueError, RecursionError) as exc:
            raise SourceError(
                f"{place}: row {first_row + row}: the text {shown(repr(text))} is no JSON array of numbers"
            ) from exc
    return parsed


def _dimension_of_values(values: Sequence[Any], dimension: int | None, place: str, first_row: int) -> int:
    if dimension is not None:
        return dimension
    for row, value in enumerate(values):
        if isinstance(value, list | tuple | np.ndarray):
            return check_dimension(len(value), None, place, first_row + row)
        if value is not None:
            break
    else:
        _missing(len(values), None, place, first_row)
    raise SourceError(f"{place}: row {first_row + row}: found {shown(repr(value))}, where a list of numbers is needed")


def _has_truths(values: Sequence[Any], whole: NDArray[np.generic]) -> bool:
    """Return whether a true or false is among the numbers, which NumPy makes 1 and 0 of."""
    suspects = np.flatnonzero(((whole == 0) | (whole == 1)).any(axis=1))
    return any(bool in set(map(type, values[int(row)])) for row in suspects)


def _checked(value: Any, expected: int, place: str, row: int) -> NDArray[np.float32]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise SourceError(f"{place}: row {row}: found {shown(repr(value))}, where a list of numbers is needed")
    check_dimension(len(value), expected, place, row)
    for number in value:
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float | np.number)):
            raise SourceError(f"{place}: row {row}: {shown(repr(number))} in a vector, where a number is needed")
    try:
        with np.errstate(over="ignore"):
            return np.array([np.nan if number is None else float(number) for number in value]).astype(np.float32)
    except OverflowError as exc:
        raise SourceError(f"{place}: row {row}: a number in the vector is beyond 1.8e308") from exc
