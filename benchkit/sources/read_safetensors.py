"""Safetensors files: the tensor of vectors, and perhaps one-dimensional ones beside it (timestamps, scores).

8 bytes length, JSON header ── each offset checked against the file ── blocks of rows

Source: the format's description in the safetensors project (header length, header, data). bfloat16 becomes float32.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from benchkit.errors import SourceError
from benchkit.sources.blocks import Claim, as_column, choose_arrays, raw_blocks, read_whole
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.words import listed, reason, shown
from benchkit.types.drift import ColumnNames

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "BOOL": "|b1",
}


class SafetensorsReader:
    """Reads a safetensors file from a row on.

    Raises:
        Unfinished: it has fewer bytes than its header claims.
        SourceError: the header is damaged, or it isn't clear which tensor holds the vectors.
    """

    def __init__(self, file: BinaryIO, size: int, *, columns: ColumnNames, place: str, skip_rows: int = 0) -> None:
        self._file, self._place, self._skip = file, place, skip_rows
        header, self._data = _read_header(file, size, place)
        self._starts: dict[str, int] = {}
        self._spans: list[tuple[int, int]] = []
        claims = {}
        for name, entry in header.items():
            if name != "__metadata__":
                claims[name] = self._claim(name, entry, size)
        self._check_spans(size)
        self._chosen = choose_arrays({name: claim for name, claim in claims.items() if claim}, columns, place)

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        side = {role: self._side(claim) for role, claim in self._chosen.items() if role != "vector"}
        vectors = self._chosen["vector"]
        self._file.seek(self._starts[vectors.name])
        yield from raw_blocks(self._file, vectors, side, self._place, skip_rows=self._skip, rows=batch_rows)

    def _claim(self, name: str, entry: Any, size: int) -> Claim | None:
        place = f"{self._place}: '{shown(name)}'"
        try:
            kind, (begin, end) = entry["dtype"], _whole(entry["data_offsets"])
            claim_shape = _whole(entry["shape"])
        except (KeyError, TypeError, ValueError) as exc:
            raise SourceError(f"{place}: the header of the tensor is damaged") from exc
        self._spans.append((begin, end))
        if kind not in (*_TYPES, "BF16"):
            return None  # float8 and the like hold no vectors
        claim = Claim(name, claim_shape, "bfloat16" if kind == "BF16" else np.dtype(_TYPES[kind]))
        if min((begin, *claim_shape)) < 0 or end - begin != claim.n_bytes:
            raise SourceError(f"{place}: {list(claim_shape)} {kind} claims the bytes {begin} to {end}, which don't fit")
        if self._data + end > size:
            raise Unfinished(
                f"{place}: {list(claim_shape)} {kind} ends at byte {self._data + end}, the file has {size}: "
                "half-written, truncated or forged"
            )
        self._starts[name] = self._data + begin
        return claim

    def _check_spans(self, size: int) -> None:
        """Raise unless every byte behind the header belongs to one tensor, which is the format's own rule.

        Names or bytes that got lost in between would shift the numbers of the others.
        """
        at = 0
        for begin, end in sorted(self._spans):
            if begin != at:
                raise SourceError(
                    f"{self._place}: the tensors claim bytes up to {at} and then from {begin} on; none may be shared "
                    "or left out: damaged or forged"
                )
            at = end
        if self._data + at != size:
            raise SourceError(f"{self._place}: the tensors end {size - self._data - at} bytes before the file does")

    def _side(self, claim: Claim) -> object:
        place = f"{self._place}: '{shown(claim.name)}'"
        self._file.seek(self._starts[claim.name])
        return as_column(read_whole(self._file, claim, place), place)


def _whole(values: Any) -> tuple[int, ...]:
    """Return whole numbers as they stand in the header.

    Raises:
        TypeError: something else does, which int() might take for one.
    """
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise TypeError(values)
    return tuple(values)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: a name is there twice; the last one would be taken.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        doubled = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{listed([doubled])} is there twice")
    return found


def _read_header(file: BinaryIO, size: int, place: str) -> tuple[dict[str, Any], int]:
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if size < _LENGTH_BYTES or not 2 <= length <= _MAX_HEADER_BYTES:
        raise SourceError(f"{place}: no safetensors file: a header of {length} bytes in a file of {size}")
    if _LENGTH_BYTES + length > size:
        raise Unfinished(f"{place}: the header claims {length} bytes, the file has {size}: half-written or truncated")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{place}: the safetensors header can't be read: {reason(exc)}") from exc
    if not isinstance(header, dict):
        raise SourceError(f"{place}: the safetensors header is no JSON object")
    return header, _LENGTH_BYTES + length
