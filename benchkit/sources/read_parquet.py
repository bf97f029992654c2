"""Parquet files as batches of rows; memory is bounded by the batch, not by the row group.

    footer ── checked against the file's size ── row groups before the first row left out
        ──> column chunks, read through a buffer of 1 MiB ──> batches

Arrow's own defaults would read a whole column chunk at once, and a row group holds a million rows by default.
Of a million vectors of 768 float32, decoding lists takes four times the processor time of FixedSizeBinary, and lists
without nulls ("not null" in the schema, for both the list and its items) two thirds of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import Any, BinaryIO

from benchkit.errors import SourceError
from benchkit.sources.arrow_columns import choose_columns, raw_of_batch
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.vectors import MAX_DIMENSION
from benchkit.types.drift import ColumnNames

_BUFFER_BYTES = 1 << 20
_BATCH_BYTES = 24 << 20  # vectors of one batch
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
        import pyarrow as pa
        import pyarrow.parquet as pq

        _check_ends(file, size, place)
        self._place, self._skip = place, skip_rows
        try:
            opened = _without_python(file)
            self._file = pq.ParquetFile(opened, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            schema = self._file.schema_arrow
            self._found = choose_columns(schema, columns, place)
            if self._lacks_vectors(schema):
                self._file = pq.ParquetFile(
                    opened, metadata=_as_lists(file, size), pre_buffer=False, buffer_size=_BUFFER_BYTES
                )
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise SourceError(f"{place}: no readable Parquet footer: {exc}") from exc
        self._check_claims(size)

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        import pyarrow as pa

        start = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if start + rows > self._skip:
                try:
                    yield from self._batches_of(group, max(0, self._skip - start), batch_rows)
                except (pa.ArrowException, OSError) as exc:
                    raise SourceError(f"{self._place}: row group {group} can't be read: {exc}") from exc
            start += rows

    def _batches_of(self, group: int, skip: int, batch_rows: int) -> Iterator[RawRows]:
        names = list(dict.fromkeys(self._found.values()))
        rows = min(batch_rows, max(1, _BATCH_BYTES // self._bytes_of_a_row(group)))
        rows -= rows % _ROWS_AT_ONCE if rows > _ROWS_AT_ONCE else 0
        batches = self._file.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)
        for batch in batches:
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield raw_of_batch(batch.slice(skip), self._found)
            skip = 0

    def _bytes_of_a_row(self, group: int) -> int:
        metadata, vector = self._file.metadata.row_group(group), self._found.get("vector")
        chunks = (metadata.column(place) for place in range(metadata.num_columns))
        sizes = [
            int(chunk.total_uncompressed_size) for chunk in chunks if chunk.path_in_schema.partition(".")[0] == vector
        ]
        return max(1, sum(sizes) // max(1, int(metadata.num_rows)))

    def _lacks_vectors(self, schema: Any) -> bool:
        """Return whether vectors are missing in a column of lists of one length, which Arrow then can't read as such.

        It says "Expected all lists to be of size=8": https://github.com/apache/arrow/issues/35692.
        """
        import pyarrow as pa

        vector = self._found.get("vector")
        if vector is None:
            return False
        kind = schema.field(vector).type
        kind = getattr(kind, "storage_type", kind)
        if not pa.types.is_fixed_size_list(kind):
            return False
        groups = (self._file.metadata.row_group(group) for group in range(self._file.metadata.num_row_groups))
        # A vector that is missing has one entry, whatever the length.
        return any(chunk.num_values != group.num_rows * kind.list_size for group, chunk in _chunks(groups, vector))

    def _check_claims(self, size: int) -> None:
        """Raise where the footer promises what isn't there, before anything is allocated for it."""
        metadata = self._file.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        if sum(group.num_rows for group in groups) != metadata.num_rows:
            raise SourceError(f"{self._place}: the footer claims {metadata.num_rows} rows, its row groups hold others")
        names = set(self._found.values())
        for number, group in enumerate(groups):
            for chunk in (group.column(place) for place in range(group.num_columns)):
                if chunk.path_in_schema.partition(".")[0] in names:
                    self._check_chunk(chunk, number, group.num_rows, size)

    def _check_chunk(self, chunk: Any, group: int, rows: int, size: int) -> None:
        starts = [at for at in (chunk.data_page_offset, chunk.dictionary_page_offset) if at]
        end = min(starts) + chunk.total_compressed_size if starts else 0
        if end > size or not rows <= chunk.num_values <= max(rows, 1) * MAX_DIMENSION:
            raise SourceError(
                f"{self._place}: row group {group} claims {rows} rows and {chunk.num_values} values up to byte {end}, "
                f"which can't be: the file has {size} bytes"
            )


def _chunks(groups: Iterable[Any], column: str) -> Iterator[tuple[Any, Any]]:
    """Yield row groups and their chunks of a column."""
    for group in groups:
        for chunk in (group.column(place) for place in range(group.num_columns)):
            if chunk.path_in_schema.partition(".")[0] == column:
                yield group, chunk


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
