"""NumPy files: .npy, and .npz with the vectors and perhaps columns beside them (ids, timestamps, texts, ...).

header ── checked against the file or the archive's member ── blocks of rows

Pickled objects are never loaded. A member that claims to unpack to more than a hundred times its size is refused:
real vectors hardly shrink at all.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np

from benchkit.errors import SourceError
from benchkit.sources.blocks import Claim, as_column, check_vectors, choose_arrays, raw_blocks, read_whole
from benchkit.sources.columns import find_columns
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.words import listed, reason, shown
from benchkit.types.drift import ColumnNames

_MAX_RATIO = 100
# Below this a bomb does no harm.
_RATIO_MATTERS_BYTES = 64 << 20
_MAX_MEMBERS = 1000
_VERSIONS = ((1, 0), (2, 0), (3, 0))
# A header is a Python literal, and NumPy looks into it before it asks what it holds.
_BROKEN_HEADER = (
    ValueError,
    EOFError,
    SyntaxError,
    RecursionError,
    MemoryError,
    TypeError,
    LookupError,
    tokenize.TokenError,
)
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class NpyReader:
    """Reads a .npy file from a row on.

    Raises:
        Unfinished: it has fewer bytes than its header claims.
        SourceError: no array of vectors.
    """

    def __init__(self, file: BinaryIO, size: int, *, columns: ColumnNames, place: str, skip_rows: int = 0) -> None:
        # One array, whatever it is called elsewhere, and no column beside it.
        find_columns([], replace(columns, vector=None), place)
        self._file, self._place, self._skip = file, place, skip_rows
        self._claim = read_header(file, "", place)
        self._start = file.tell()
        check_vectors(self._claim, place)
        _check_length(self._claim, size - self._start, place)

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        self._file.seek(self._start)
        yield from raw_blocks(self._file, self._claim, {}, self._place, skip_rows=self._skip, rows=batch_rows)


class NpzReader:
    """Reads a .npz archive from a row on.

    Raises:
        Unfinished: the archive's end is missing.
        SourceError: it's no archive of arrays, or one of them can't be what it's used for.
    """

    def __init__(self, file: BinaryIO, size: int, *, columns: ColumnNames, place: str, skip_rows: int = 0) -> None:
        self._place, self._skip = place, skip_rows
        self._archive = _open_archive(file, size, place)
        infos = {info.filename.removesuffix(".npy"): info for info in self._archive.infolist()}
        if len(infos) < len(self._archive.infolist()):
            doubled = Counter(info.filename.removesuffix(".npy") for info in self._archive.infolist()).most_common(1)
            raise SourceError(f"{place}: the array {listed([doubled[0][0]])} is there twice")
        if not 1 <= len(infos) <= _MAX_MEMBERS:
            raise SourceError(f"{place}: {len(infos)} arrays; allowed: 1 to {_MAX_MEMBERS}")
        self._infos = infos
        self._chosen = choose_arrays({name: self._claim(name) for name in infos}, columns, place)
        for claim in self._chosen.values():
            self._check(claim)

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        side = {role: self._side(claim) for role, claim in self._chosen.items() if role != "vector"}
        vectors = self._chosen["vector"]
        try:
            with self._open(vectors.name) as member:
                read_header(member, vectors.name, self._place)
                yield from raw_blocks(member, vectors, side, self._place, skip_rows=self._skip, rows=batch_rows)
        except _BROKEN_ZIP as exc:
            raise SourceError(f"{self._place}: '{shown(vectors.name)}' is damaged: {reason(exc)}") from exc

    def _open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, self._archive.open(self._infos[name]))

    def _claim(self, name: str) -> Claim:
        try:
            with self._open(name) as member:
                return read_header(member, name, f"{self._place}: '{shown(name)}'")
        except _BROKEN_ZIP as exc:
            raise SourceError(f"{self._place}: '{shown(name)}' is damaged: {reason(exc)}") from exc

    def _check(self, claim: Claim) -> None:
        info, place = self._infos[claim.name], f"{self._place}: '{shown(claim.name)}'"
        if info.file_size > max(_RATIO_MATTERS_BYTES, _MAX_RATIO * info.compress_size):
            raise SourceError(
                f"{place}: {info.compress_size} bytes claim to unpack to {info.file_size}; allowed: {_MAX_RATIO} times"
            )
        with self._open(claim.name) as member:
            read_header(member, claim.name, place)
            _check_length(claim, info.file_size - member.tell(), place)

    def _side(self, claim: Claim) -> object:
        place = f"{self._place}: '{shown(claim.name)}'"
        with self._open(claim.name) as member:
            read_header(member, claim.name, place)
            return as_column(read_whole(member, claim, place), place)


def read_header(file: BinaryIO, name: str, place: str) -> Claim:
    """Return what a NumPy header says; the file stands at the array then.

    Raises:
        SourceError: no NumPy header, or an array of pickled objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _VERSIONS:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not known")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = reader(file)
    except _BROKEN_HEADER as exc:
        raise SourceError(f"{place}: no NumPy array: {reason(exc)}") from exc
    if dtype.hasobject:
        raise SourceError(f"{place}: holds pickled objects, which are not loaded; save numbers (float16, float32, ...)")
    return Claim(name=name, shape=shape, dtype=dtype, is_fortran=is_fortran and len(shape) > 1)


def _open_archive(file: BinaryIO, size: int, place: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
        file.seek(0)
        kind = Unfinished if file.read(4) in (b"PK\x03\x04", b"") else SourceError
        raise kind(f"{place}: no whole .npz archive ({size} bytes): {reason(exc)}") from exc


def _check_length(claim: Claim, n_bytes: int, place: str) -> None:
    wanted = f"{place}: the header claims {claim.shape} {claim.type_name}, {claim.n_bytes} bytes"
    if n_bytes < claim.n_bytes:
        raise Unfinished(f"{wanted}, but {n_bytes} are there: half-written, truncated or forged")
    if n_bytes > claim.n_bytes:
        raise SourceError(f"{wanted}, and {n_bytes - claim.n_bytes} bytes follow; one array in a file is read")
