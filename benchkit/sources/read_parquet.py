"""Parquet files as batches of rows; memory is bounded by the batch, not by the row group.

    footer ── checked against the file's size ── row groups before the first row left out
        ──> column chunks, read through a small buffer ──> batches

Arrow's own defaults would read a whole column chunk at once, and a row group holds a million rows by default.
Of a million vectors of 768 float32, decoding lists takes four times the processor time of FixedSizeBinary, and lists
without nulls ("not null" in the schema, for both the list and its items) two thirds of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, BinaryIO

from benchkit.errors import SourceError
from benchkit.sources.arrow_columns import arrow_errors, choose_columns, raw_of_batch
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.vectors import MAX_DIMENSION
from benchkit.sources.words import reason
from benchkit.types.drift import ColumnNames

_BUFFER_BYTES = 1 << 20  # of a file elsewhere, where each read is a request
# Of one on this machine: pages are larger, and so go past the buffer, which spares a copy and a tenth of the time.
_LOCAL_BUFFER_BYTES = 1 << 17
_BATCH_BYTES = 24 << 20  # of one batch, all columns of the file counted
# What is summed takes blocks of 512 rows and fills up the last one: an odd rest costs as much as a whole block.
_ROWS_AT_ONCE = 512
_MAGIC = b"PAR1"
_ARROW_SCHEMA, _IGNORED = b"ARROW:schema", b"arrow.unused"


class ParquetReader:
    """Reads a Parquet file from a row on.

    Args:
        file: At any place; the caller closes it.
        size: Of the file in bytes.

    Raises:
        Unfinished: there is no footer at the file's end.
        SourceError: the footer isn't Parquet's, or claims more than the file can hold.
    """

    def __init__(self, file: BinaryIO, size: int, *, columns: ColumnNames, place: str, skip_rows: int = 0) -> None:
        import pyarrow.parquet as pq

        _check_ends(file, size, place)
        self._place, self._skip = place, skip_rows
        try:
            opened = _without_python(file)
            self._buffer_bytes = _BUFFER_BYTES if opened is file else _LOCAL_BUFFER_BYTES
            self._file = pq.ParquetFile(opened, pre_buffer=False, buffer_size=self._buffer_bytes)
            self._found = choose_columns(self._file.schema_arrow, columns, place)
        except arrow_errors() as exc:
            raise SourceError(f"{place}: no readable Parquet footer: {reason(exc)}") from exc
        groups = range(self._file.num_row_groups)
        if sum(self._file.metadata.row_group(group).num_rows for group in groups) != self._file.metadata.num_rows:
            rows = self._file.metadata.num_rows
            raise SourceError(f"{place}: the footer claims {rows} rows, its row groups hold others")
        self._opened, self._python_file, self._size, self._is_as_lists = opened, file, size, False

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        start = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if start + rows > self._skip:
                try:
                    yield from self._batches_of(group, max(0, self._skip - start), batch_rows)
                except arrow_errors() as exc:
                    raise SourceError(f"{self._place}: row group {group} can't be read: {reason(exc)}") from exc
            start += rows

    def _batches_of(self, group: int, skip: int, batch_rows: int) -> Iterator[RawRows]:
        """Yield the rows of a row group that are left.

        Vectors may be missing in a column of lists of one length, which Arrow then can't read as such: "Expected all
        lists to be of size=8", https://github.com/apache/arrow/issues/35692. From there on they are read as lists.
        """
        done = skip
        try:
            for batch in self._read(group, skip, batch_rows):
                done += batch.num_rows
                yield raw_of_batch(batch, self._found)
        except arrow_errors():
            if self._is_as_lists or not self._are_of_one_length():
                raise
            self._read_as_lists()
            yield from (raw_of_batch(batch, self._found) for batch in self._read(group, done, batch_rows))

    def _read(self, group: int, skip: int, batch_rows: int) -> Iterator[Any]:
        """Yield the record batches of a row group behind its first `skip` rows.

        Raises:
            SourceError: it holds more or fewer rows than the footer says, or can't hold what that says.
        """
        names = list(dict.fromkeys(self._found.values()))
        of_group = self._file.metadata.row_group(group)
        rows = min(batch_rows, max(1, _BATCH_BYTES * of_group.num_rows // max(1, of_group.total_byte_size)))
        rows -= rows % _ROWS_AT_ONCE if rows > _ROWS_AT_ONCE else 0
        seen = 0
        for batch in self._file.iter_batches(rows, row_groups=[group], columns=names, use_threads=False):
            if not seen:
                self._check_claims(group)
            before, seen = max(0, skip - seen), seen + batch.num_rows
            if before < batch.num_rows:
                yield batch.slice(before)
        if seen != of_group.num_rows:
            raise SourceError(
                f"{self._place}: row group {group} claims {of_group.num_rows} rows and holds {seen}: damaged or forged"
            )

    def _are_of_one_length(self) -> bool:
        import pyarrow as pa

        if "vector" not in self._found:
            return False
        kind = self._file.schema_arrow.field(self._found["vector"]).type
        return bool(pa.types.is_fixed_size_list(getattr(kind, "storage_type", kind)))

    def _read_as_lists(self) -> None:
        import pyarrow.parquet as pq

        metadata = _as_lists(self._python_file, self._size)
        self._file = pq.ParquetFile(self._opened, metadata=metadata, pre_buffer=False, buffer_size=self._buffer_bytes)
        self._is_as_lists = True

    def _check_claims(self, group: int) -> None:
        """Raise where the footer promises what isn't there.

        Only once Arrow has begun to read these columns, which refuses what is damaged in their part of the footer:
        looked at before, such a part ends the process ("terminate called after throwing ... ParquetException").
        """
        metadata, names = self._file.metadata, self._found.values()
        paths = (metadata.schema.column(place).path for place in range(metadata.num_columns))
        for place, path in enumerate(paths):
            if any(path == name or path.startswith(f"{name}.") for name in names):
                of_group = metadata.row_group(group)
                self._check_chunk(of_group.column(place), group, of_group.num_rows)

    def _check_chunk(self, chunk: Any, group: int, rows: int) -> None:
        starts = [at for at in (chunk.data_page_offset, chunk.dictionary_page_offset) if at]
        end = min(starts) + chunk.total_compressed_size if starts else 0
        if end > self._size or not rows <= chunk.num_values <= max(rows, 1) * MAX_DIMENSION:
            raise SourceError(
                f"{self._place}: row group {group} claims {rows} rows and {chunk.num_values} values up to byte {end}, "
                f"which can't be: the file has {self._size} bytes"
            )


def _as_lists(file: BinaryIO, size: int) -> Any:
    """Return a file's footer without Arrow's own schema: by Parquet's, lists of one length are lists of any."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.seek(size - 8)
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    file.seek(size - 8 - length)
    footer = file.read(length)
    # A key that nobody knows, and of the same length, so that nothing else moves.
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer.replace(_ARROW_SCHEMA, _IGNORED) + end))


def _without_python(file: BinaryIO) -> Any:
    """Return a file of this machine as one that Arrow reads by itself, which spares a copy of every byte."""
    import pyarrow as pa

    if not isinstance(file, BufferedReader):
        return file
    try:
        opened = pa.OSFile(file.name)
        # By the name it was opened anew: it may be another file by now.
        return opened if os.path.sameopenfile(opened.fileno(), file.fileno()) else file
    except (OSError, TypeError, ValueError):  # gone, without a name, or one that is no UTF-8
        return file


def _check_ends(file: BinaryIO, size: int, place: str) -> None:
    file.seek(0)
    head = file.read(len(_MAGIC))
    if head != _MAGIC[: len(head)]:
        raise SourceError(f"{place}: no Parquet file: it begins with {head!r}, Parquet with {_MAGIC!r}")
    file.seek(max(0, size - 8))
    tail = file.read(8)
    if size < 12 or tail[4:] != _MAGIC:
        raise Unfinished(f"{place}: half-written or truncated: the Parquet footer is missing ({size} bytes)")
    length = int.from_bytes(tail[:4], "little")
    if length > size - 12:
        raise SourceError(f"{place}: the Parquet footer claims {length} bytes, the file has {size}")
    file.seek(0)
