"""Arrays that lie in a file as rows of numbers, read a block at a time.

    claim (shape, dtype, bytes) ── checked against the file ── seek to the row ──> (rows, d) blocks

Read, not memory-mapped: memory stays that of one block, and a file that somebody truncates is an error and not SIGBUS.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.columns import USUAL_NAMES, find_columns
from benchkit.sources.raw import RawRows
from benchkit.sources.vectors import MAX_DIMENSION, NUMBER_TYPES
from benchkit.sources.words import listed, reason, shown
from benchkit.types.drift import ColumnNames

# Of a column beside the vectors, and of vectors stored column by column: these are read whole.
MAX_WHOLE_BYTES = 1 << 30
_SIDE_KINDS = "iufMUS"
_ARROW_UNITS = ("D", "s", "ms", "us", "ns")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says of an array.

    Attributes:
        dtype: "bfloat16" where NumPy has no such type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | str
    is_fortran: bool = False

    @property
    def item_bytes(self) -> int:
        return 2 if isinstance(self.dtype, str) else self.dtype.itemsize

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.item_bytes

    @property
    def type_name(self) -> str:
        return self.dtype if isinstance(self.dtype, str) else self.dtype.name


def check_vectors(claim: Claim, place: str) -> None:
    """Raise SourceError unless an array can be vectors."""
    if claim.type_name not in (*NUMBER_TYPES, "bfloat16"):
        raise SourceError(f"{place}: numbers of type {claim.type_name}; allowed: {', '.join(NUMBER_TYPES)}")
    if len(claim.shape) != 2 or not 1 <= claim.shape[1] <= MAX_DIMENSION or claim.shape[0] < 0:
        raise SourceError(
            f"{place}: an array of shape {claim.shape}; needed: (rows, dimension), dimension 1 to {MAX_DIMENSION}"
        )
    if claim.is_fortran and claim.n_bytes > MAX_WHOLE_BYTES:
        raise SourceError(
            f"{place}: {claim.n_bytes} bytes stored by columns can't be read by rows; save np.ascontiguousarray(x)"
        )


def choose_arrays(claims: Mapping[str, Claim], wanted: ColumnNames, place: str) -> dict[str, Claim]:
    """Return role -> array: the vectors, and columns beside them.

    Raises:
        SourceError: it isn't clear which array holds the vectors, or another one doesn't fit them.
    """
    found = find_columns(list(claims), wanted, place)
    if "vector" not in found:
        tables = [name for name, claim in claims.items() if len(claim.shape) == 2]
        if len(tables) != 1:
            what = "no array of shape (rows, dimension)" if not tables else f"several arrays: {listed(tables)}"
            raise SourceError(
                f"{place}: {what}; name one, or call it '{USUAL_NAMES['vector'][0]}'. There are: {listed(claims)}"
            )
        found["vector"] = tables[0]
    chosen = {role: claims[name] for role, name in found.items()}
    check_vectors(chosen["vector"], f"{place}: '{shown(found['vector'])}'")
    for role, claim in chosen.items():
        if role != "vector":
            _check_side(claim, chosen["vector"].shape[0], f"{place}: '{shown(claim.name)}'")
    return chosen


def blocks(file: BinaryIO, claim: Claim, place: str, *, skip_rows: int, rows: int) -> Iterator[NDArray[np.generic]]:
    """Yield blocks of rows of an array that begins where the file stands.

    Raises:
        SourceError: the file ends before the array does.
    """
    count, width = claim.shape
    if claim.is_fortran:
        whole = read_whole(file, claim, place)
        yield from (whole[start : start + rows] for start in range(skip_rows, count, rows))
        return
    file.seek(file.tell() + skip_rows * width * claim.item_bytes)
    for start in range(skip_rows, count, rows):
        yield _block(file, claim, (min(rows, count - start), width), place)


def read_whole(file: BinaryIO, claim: Claim, place: str) -> NDArray[np.generic]:
    """Return a whole array; its size was checked."""
    if not claim.is_fortran:
        return _block(file, claim, claim.shape, place)
    return _block(file, claim, claim.shape[::-1], place).T


def raw_blocks(
    file: BinaryIO, claim: Claim, side: Mapping[str, Any], place: str, *, skip_rows: int, rows: int
) -> Iterator[RawRows]:
    """Yield the rows of vectors in a file and of the columns beside them, which are Arrow arrays of all rows."""
    start = skip_rows
    for block in blocks(file, claim, place, skip_rows=skip_rows, rows=rows):
        columns = {role: column.slice(start, len(block)) for role, column in side.items()}
        yield RawRows(count=len(block), columns={"vector": block, **columns}, names={"vector": claim.name})
        start += len(block)


def as_column(values: NDArray[np.generic], place: str) -> Any:
    """Return a one-dimensional array as an Arrow array.

    Raises:
        SourceError: Arrow has no such type.
    """
    import pyarrow as pa

    try:
        return pa.array(np.ascontiguousarray(_arrow_times(values) if _is_time(values) else values))
    except (pa.ArrowException, ValueError, TypeError) as exc:
        raise SourceError(f"{place}: {reason(exc)}") from exc


def _is_time(values: NDArray[np.generic]) -> TypeGuard[NDArray[np.datetime64]]:
    return values.dtype.kind == "M"


def _arrow_times(values: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return times in a unit that Arrow has; NumPy makes minutes of "2026-11-01T09:30".

    Raises:
        ValueError: one is beyond microseconds.
    """
    if np.datetime_data(values.dtype)[0] in _ARROW_UNITS:
        return values
    found = values.astype("datetime64[us]")
    if not np.array_equal(found.astype(values.dtype), values, equal_nan=True):
        raise ValueError("a time that microseconds since 1970 can't say")
    return found


def _check_side(claim: Claim, rows: int, place: str) -> None:
    if claim.shape != (rows,):
        raise SourceError(f"{place}: an array of shape {claim.shape} beside {rows} vectors; needed: ({rows},)")
    if isinstance(claim.dtype, str) or claim.dtype.kind not in _SIDE_KINDS or claim.n_bytes > MAX_WHOLE_BYTES:
        raise SourceError(f"{place}: {claim.n_bytes} bytes of type {claim.type_name} can't be a column beside vectors")


def _block(file: BinaryIO, claim: Claim, shape: tuple[int, ...], place: str) -> NDArray[np.generic]:
    stored = np.dtype("<u2") if isinstance(claim.dtype, str) else claim.dtype
    block = np.empty(shape, dtype=stored)
    view: memoryview = block.reshape(-1).view(np.uint8).data if block.size else memoryview(b"")
    at = 0
    while at < len(view):
        read = file.readinto(view[at:])  # type: ignore[attr-defined]
        if not read:
            raise SourceError(f"{place}: ends {len(view) - at} bytes too early; was it changed while it was read?")
        at += read
    if isinstance(claim.dtype, str):
        return (block.astype(np.uint32) << 16).view(np.float32)  # bfloat16 is the upper half of float32
    return block if stored.isnative else block.astype(stored.newbyteorder("="))
