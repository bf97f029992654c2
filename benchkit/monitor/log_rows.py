"""What a service hands to an embedding log, checked and copied: a block of rows in memory.

    vector, list, tensor ── as_matrix ───────┐
    time ────────────────── as_microseconds ─┼─ Block.add ──> rows of a Parquet file (log_files.py)
    ids, texts, roles … ─── Labels.of ───────┘

Cost: one copy of each vector into memory that is there already; labels of a call are one entry, whatever its rows.
Messages here never hold what was handed in: it may be a person's text.
"""

from __future__ import annotations

import struct
import sys
import time as clock
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Micros = int | NDArray[np.int64]
# 1970 to 2200: a time outside is one in milliseconds or the like.
LATEST_US = 7_258_118_400_000_000
_FLOAT32 = np.dtype(np.float32)  # comparing with the type itself takes ten times as long
PER_ROW = ("ids", "text", "score")


class Refused(ValueError):
    """What was handed in can't be a row."""


class Labels(NamedTuple):
    """What is known of the rows of one call beside vector and time; a tuple, because each call makes one.

    Attributes:
        columns: Name and either one value for every row or a list with one for each.
        bytes: Memory that they hold.
    """

    columns: tuple[tuple[str, Any], ...]
    rows: int
    bytes: int

    @classmethod
    def of(cls, rows: int, given: Iterable[tuple[str, Any]]) -> Labels | None:
        """Check and copy the columns that were given; None for none.

        Raises:
            Refused: a column doesn't have one value for each row.
            ValueError, TypeError: a score isn't a number.
        """
        columns = tuple([(name, _column(name, value, rows)) for name, value in given if value is not None])
        return cls(columns, rows, sum([_size(value) for _, value in columns])) if columns else None

    def take(self, picked: Sequence[int]) -> Labels:
        """Return those of some rows."""
        columns = tuple([(n, [v[row] for row in picked] if isinstance(v, list) else v) for n, v in self.columns])
        return Labels(columns, len(picked), sum([_size(value) for _, value in columns]))


def _column(name: str, value: Any, rows: int) -> Any:
    """Return one value for all rows, or a list of one for each."""
    plain = _number if name == "score" else _word
    if _is_single(value):
        if rows != 1 and name in PER_ROW:
            raise Refused(f"{name}: one value for {rows} vectors; it takes one for each")
        return plain(value)
    if len(value) != rows:
        raise Refused(f"{name}: {len(value)} values for {rows} vectors")
    return [plain(entry) for entry in value]


def _is_single(value: Any) -> bool:
    """Return whether a value is one; an array or tensor without dimensions is, and has a length all the same."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _word(value: Any) -> str | None:
    # A copy as plain text: what the service does to its object later must not change the row.
    if value is None:
        return None
    if hasattr(value, "__len__") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # str() of a tensor is "tensor(7)"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _size(value: Any) -> int:
    return sum(map(sys.getsizeof, value)) if isinstance(value, list) else sys.getsizeof(value)


# ------------------------------------------------------------ vectors and times


def as_matrix(vectors: Any) -> NDArray[np.float32]:
    """Return vectors as float32 (n, d); a single one as (1, d). NaN and infinity stay: the monitor looks for them.

    Raises:
        Refused: it isn't one vector or an array of vectors of real numbers.
    """
    array = vectors if type(vectors) is np.ndarray else _to_array(vectors)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise Refused(f"expected a vector (d) or vectors (n, d), got {_kind(vectors)} of shape {array.shape}")
    if array.dtype == _FLOAT32:
        return array
    if array.dtype.kind not in "fiu":
        raise Refused(f"expected real numbers, got {_kind(vectors)} of {array.dtype}")
    with np.errstate(all="ignore"):  # float64 beyond float32 becomes infinite, which the monitor reports
        return array.astype(np.float32)


def _to_array(vectors: Any) -> NDArray[Any]:
    """Read a list, a tensor of any library or whatever else has numbers."""
    try:
        if type(vectors) is list and vectors and type(vectors[0]) is float:
            # Half the time of np.asarray, with the same rounding.
            return np.frombuffer(struct.pack(f"{len(vectors)}f", *vectors), dtype=np.float32)
        if hasattr(vectors, "detach"):
            return _of_tensor(vectors.detach())
        return np.asarray(vectors)
    except Exception:
        raise Refused(f"{_kind(vectors)} can't be read as a vector of numbers") from None


def _of_tensor(tensor: Any) -> NDArray[Any]:
    try:
        return np.asarray(tensor)
    except (TypeError, RuntimeError):  # bfloat16, which NumPy doesn't know, or on another device
        return np.asarray(tensor.float().cpu())


def _kind(value: object) -> str:
    return type(value).__name__


def as_microseconds(time: Any, rows: int) -> Micros:
    """Return microseconds since 1970 in UTC: one for all rows, or int64 (rows,).

    Args:
        time: None for now; seconds since 1970, an aware `datetime`, a `numpy.datetime64` in UTC, or one for each row.

    Raises:
        Refused: a datetime has no time zone, a time isn't between 1970 and 2200, or their number isn't that of rows.
    """
    if time is None:
        return clock.time_ns() // 1000
    if _is_single(time):
        return _micros(time)
    if len(time) != rows:
        raise Refused(f"time: {len(time)} values for {rows} vectors")
    return np.fromiter(map(_micros, time), dtype=np.int64, count=rows)


def _micros(time: Any) -> int:
    if isinstance(time, datetime):
        if time.utcoffset() is None:
            raise Refused("time: a datetime without a time zone; give one, as in datetime.now(timezone.utc)")
        time = time.timestamp()
    elif isinstance(time, np.datetime64):
        time = int(time.astype("datetime64[us]").astype(np.int64)) / 1e6
    try:
        micros = round(float(time) * 1e6)
    except (TypeError, ValueError, OverflowError):
        raise Refused(f"time: {_kind(time)} isn't a time in seconds since 1970") from None
    if not 0 <= micros < LATEST_US:
        raise Refused("time: not between the years 1970 and 2200; it is in seconds since 1970, not milliseconds")
    return micros


# ------------------------------------------------------------ a block


@dataclass(slots=True, eq=False)
class Block:
    """Rows that wait to be written; the memory is used again for later ones.

    Attributes:
        vectors: float32 (capacity, d), of which the first `rows` are filled.
        times: Microseconds since 1970, int64 (capacity,).
        labels: Those of each call, with the row that they begin at.
        label_bytes: Memory that labels hold.
    """

    vectors: NDArray[np.float32]
    times: NDArray[np.int64]
    labels: list[tuple[int, Labels]] = field(default_factory=list)
    rows: int = 0
    label_bytes: int = 0

    @classmethod
    def of(cls, capacity: int, dimension: int) -> Block:
        """Reserve the memory; the system gives it page by page, as rows come."""
        return cls(np.empty((capacity, dimension), np.float32), np.empty(capacity, np.int64))

    @staticmethod
    def row_bytes(dimension: int) -> int:
        return dimension * np.dtype(np.float32).itemsize + np.dtype(np.int64).itemsize

    @property
    def is_full(self) -> bool:
        return self.rows == len(self.times)

    def add(
        self, vectors: NDArray[np.float32], times: Micros, labels: Labels | None, start: int, most: int | None = None
    ) -> int:
        """Copy as many rows from `start` on as there is room for, and not more than `most`; return how many."""
        count = min(len(vectors) - start, len(self.times) - self.rows)
        if most is not None:
            count = min(count, most)
        end = self.rows + count
        self.vectors[self.rows : end] = vectors[start : start + count]
        self.times[self.rows : end] = times if isinstance(times, int) else times[start : start + count]
        if labels is not None:
            part = labels if count == labels.rows else labels.take(range(start, start + count))
            self.labels.append((self.rows, part))
            self.label_bytes += part.bytes
        self.rows = end
        return count

    def column(self, name: str) -> list[Any]:
        """Return one value for each row, None where nothing was given."""
        values: list[Any] = [None] * self.rows
        for start, labels in self.labels:
            value = dict(labels.columns).get(name)
            if value is not None:
                spread = value if isinstance(value, list) else repeat(value, labels.rows)
                values[start : start + labels.rows] = spread
        return values

    def clear(self) -> None:
        self.labels, self.rows, self.label_bytes = [], 0, 0
