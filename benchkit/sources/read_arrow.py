"""Arrow IPC and Feather files, in the form of a file or of a stream, as batches of rows.

Only the columns that are needed are read, one record batch at a time: memory is bounded by the writer's batch (65,536
rows by Feather's default). Not memory-mapped: a mapped file that somebody truncates kills the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from benchkit.errors import SourceError
from benchkit.sources.arrow_columns import arrow_errors, choose_columns, raw_of_batch
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.words import reason
from benchkit.types.drift import ColumnNames

_FILE_MAGIC = b"ARROW1"


class ArrowReader:
    """Reads an Arrow file or stream from a row on.

    Raises:
        Unfinished: a file whose footer is missing.
        SourceError: it can't be read.
    """

    def __init__(self, file: BinaryIO, size: int, *, columns: ColumnNames, place: str, skip_rows: int = 0) -> None:
        import pyarrow as pa

        self._place, self._skip, self._file, self._columns = place, skip_rows, file, columns
        self._size = size
        file.seek(0)
        self._is_file = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        if self._is_file:
            file.seek(max(0, size - len(_FILE_MAGIC)))
            if size < 2 * len(_FILE_MAGIC) + 4 or file.read() != _FILE_MAGIC:
                raise Unfinished(f"{place}: half-written or truncated: the Arrow footer is missing ({size} bytes)")
        file.seek(0)
        try:
            schema = pa.ipc.open_file(file).schema if self._is_file else pa.ipc.open_stream(file).schema
            self._found = choose_columns(schema, columns, place)
        except arrow_errors() as exc:
            raise SourceError(f"{place}: no readable Arrow file or stream: {reason(exc)}") from exc
        self._indices = sorted({schema.get_field_index(name) for name in self._found.values()})

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        skip = self._skip
        try:
            for batch in self._record_batches():
                batch.validate(full=True)
                for start in range(skip, batch.num_rows, batch_rows):
                    yield raw_of_batch(batch.slice(start, batch_rows), self._found)
                skip = max(0, skip - batch.num_rows)
        except arrow_errors() as exc:
            kind = SourceError if self._is_file else Unfinished
            raise kind(f"{self._place}: a record batch can't be read: {reason(exc)}") from exc

    def _record_batches(self) -> Iterator[Any]:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=self._indices, use_threads=False)
        self._file.seek(0)
        if not self._is_file:
            yield from pa.ipc.open_stream(self._file, options=options)
            left = self._size - self._file.tell()
            if left > 0:
                raise SourceError(f"{self._place}: the stream ends {left} bytes before its file; one in a file is read")
            return
        reader = pa.ipc.open_file(self._file, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
