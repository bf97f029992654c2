"""What every format gives: some rows as columns, which become `Rows` here.

columns by role (Arrow arrays or Python lists, vectors perhaps an array already) ──> Rows
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.times import python_values, times_of_array, times_of_values
from benchkit.sources.vectors import Stored, check_dimension, vectors_of_array, vectors_of_values
from benchkit.sources.words import shown
from benchkit.types.drift import Rows


@dataclass(frozen=True, slots=True)
class RawRows:
    """Some rows of a file or table.

    Attributes:
        count: How many.
        columns: Role -> Arrow array, list of Python values, or (n, d) array of vectors.
        names: Role -> what the column is called there, for messages.
        line, byte: Where reading goes on in a file of lines.
        model, fingerprint: How the file says its vectors were made; "" where it says nothing.
        sampling: Share of what was embedded that the file says it keeps; 1 where it says nothing.
    """

    count: int
    columns: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    byte: int = 0
    model: str = ""
    fingerprint: str = ""
    sampling: float = 1.0


class Reader(Protocol):
    """Reads one file."""

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        """Yield the rows that are left, in order, at most so many at a time.

        Raises:
            SourceError: what is there can't be read.
            Unfinished: the file isn't whole, as one that is still being written.
        """
        ...


class Unfinished(SourceError):
    """A file isn't whole: it's damaged, or somebody is still writing it."""


def rows_of(
    raw: RawRows,
    *,
    dimension: int | None,
    place: str,
    first_row: int,
    before: int | None = None,
    known: Stored | None = None,
) -> Rows:
    """Return the rows of a batch.

    Args:
        dimension: What the vectors must have; 0 of texts alone, None where nothing was read yet.
        first_row: Of the batch in its file, for messages.
        before: Where `dimension` is None, that of other files: 0 where these are texts alone. Vectors may have another
            one, and a batch of missing vectors has that one.
        known: How FixedSizeBinary is cut where nobody says; see `vectors_of_array`.

    Raises:
        SourceError: a column holds something else than its role needs.
    """

    def named(role: str) -> str:
        return f"{place}: column '{shown(raw.names[role])}'" if raw.names.get(role) else place

    return Rows(
        vectors=_vectors(raw, _expected(raw, dimension, before), named("vector"), first_row, known),
        times=_times(raw.columns.get("time"), named("time"), first_row),
        ids=_ids(raw.columns.get("id"), named("id")),
        texts=_written(raw.columns.get("text"), named("text"), first_row),
        segments=_texts(raw.columns.get("segment"), named("segment")),
        roles=_texts(raw.columns.get("role"), named("role")),
        scores=_scores(raw.columns.get("score"), named("score"), first_row),
        model=raw.model,
        fingerprint=raw.fingerprint,
        sampling=raw.sampling,
    )


def _expected(raw: RawRows, dimension: int | None, before: int | None) -> int | None:
    """Return the dimension that a batch must have; None where its vectors tell."""
    column = raw.columns.get("vector")
    if dimension is not None:
        return dimension
    if not before or column is None:
        return before
    if isinstance(column, np.ndarray):
        return None
    is_list = isinstance(column, list)
    is_missing = all(value is None for value in column) if is_list else column.null_count == len(column)
    return before if is_missing else None


def _vectors(
    raw: RawRows, dimension: int | None, place: str, first_row: int, known: Stored | None
) -> NDArray[np.generic]:
    column = raw.columns.get("vector")
    if column is None:
        if dimension:
            raise SourceError(f"{place}: texts without vectors, where the others have vectors of dimension {dimension}")
        return np.empty((raw.count, 0), dtype=np.float32)
    if dimension == 0:
        raise SourceError(f"{place}: has vectors, where the others are texts alone")
    if isinstance(column, np.ndarray):
        check_dimension(column.shape[1], dimension, place)
        return column
    if isinstance(column, list):
        return vectors_of_values(column, dimension, place, first_row)
    return vectors_of_array(column, dimension, place, first_row, known=known)


def _times(column: Any, place: str, first_row: int) -> NDArray[np.datetime64] | None:
    if column is None:
        return None
    convert = times_of_values if isinstance(column, list) else times_of_array
    return convert(column, place, first_row)


def _ids(column: Any, place: str) -> tuple[str, ...] | None:
    if column is None:
        return None
    # Bytes of an id are a number and no text, be they UTF-8 or not.
    values = (value.hex() if isinstance(value, bytes) else value for value in _values(column, place))
    return tuple("" if value is None else _as_text(value) or "" for value in values)


def _written(column: Any, place: str, first_row: int) -> tuple[str | None, ...] | None:
    """Return texts that people wrote.

    Raises:
        SourceError: they are bytes and not UTF-8: a model would be asked about something else.
    """
    if column is None:
        return None
    values = _values(column, place)
    for row, value in enumerate(values):
        if isinstance(value, bytes) and _decoded(value) is None:
            raise SourceError(f"{place}: row {first_row + row}: bytes that aren't UTF-8, where a text is needed")
    return _texts(values, place)


def _texts(column: Any, place: str) -> tuple[str | None, ...] | None:
    if column is None:
        return None
    values = _values(column, place)
    return tuple(value if value is None or type(value) is str else _as_text(value) for value in values)


def _as_text(value: Any) -> str | None:
    if isinstance(value, float) and (value.is_integer() or math.isnan(value)):
        # A table makes 1.0 and NaN of a column of whole numbers as soon as one is missing.
        return None if math.isnan(value) else str(int(value))
    if isinstance(value, bytes):
        # Writers that don't say what a column is call texts "binary", and NumPy's "S" is that too.
        found = _decoded(value)
        return value.hex() if found is None else found
    return str(value)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _scores(column: Any, place: str, first_row: int) -> NDArray[np.float64] | None:
    if column is None:
        return None
    values = _values(column, place)
    for row, value in enumerate(values):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
            raise SourceError(f"{place}: row {first_row + row}: {shown(repr(value))}, where a number is needed")
    try:
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    except OverflowError as exc:
        raise SourceError(f"{place}: a number of the batch from row {first_row} on is beyond 1.8e308") from exc


def _values(column: Any, place: str) -> Sequence[Any]:
    if isinstance(column, list | tuple):
        return column
    return python_values(column, place)
