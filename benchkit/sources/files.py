"""Files of embeddings as a source.

    folder ── list ── leave out what the position has finished ── the file in hand first, then in natural order
        ──> reader of its format ──> Rows, each with the position after it

The vectors of a file are alike; another file may be of another model, and whoever reads decides what that means.

A file that sorts before the position but came late is read as well. What was read and has changed since is an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from benchkit.errors import SourceError
from benchkit.sources.folder import FileEntry, Folder, SourceAbsent, identify, unread
from benchkit.sources.position import FinishedFiles, Mark, Position, parse_position, without_gone
from benchkit.sources.raw import RawRows, Reader, Unfinished, rows_of
from benchkit.sources.read_arrow import ArrowReader
from benchkit.sources.read_lines import LineReader, Lines
from benchkit.sources.read_numpy import NpyReader, NpzReader
from benchkit.sources.read_parquet import ParquetReader
from benchkit.sources.read_safetensors import SafetensorsReader
from benchkit.sources.vectors import Stored
from benchkit.sources.words import shown_place
from benchkit.types.drift import ColumnNames, Rows

_READERS: Mapping[str, Callable[..., Reader]] = {
    "parquet": ParquetReader,
    "arrow": ArrowReader,
    "npy": NpyReader,
    "npz": NpzReader,
    "safetensors": SafetensorsReader,
}
_GROWING = ("jsonl", "txt")
_WITHOUT_COLUMNS = ("npy", "txt")
# Formats whose end doesn't tell whether they are whole: left alone while they are young.
_UNMARKED = ("jsonl.gz",)
# How Arrow begins what S3 says, inside of whatever it was doing: the store failed and not the file.
_OF_STORE = "AWS Error"


@dataclass(slots=True)
class FileSource:
    """Files in a folder or object store.

    Attributes:
        dimension: What vectors must have; None takes it from the first of each file.
        known: How FixedSizeBinary is cut where no dimension is given; see `vectors_of_array`.
        columns_of_baseline: Named for other files: they hold where `columns` says nothing, where a format has columns.
        settling_s: A file that isn't whole is left for later while it's younger than this; 0 makes it an error at once.
        clock: Seconds since 1970.
    """

    folder: Folder
    name: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    dimension: int | None = None
    known: Stored | None = None
    columns_of_baseline: ColumnNames = field(default_factory=ColumnNames)
    settling_s: float = 0.0
    clock: Callable[[], float] = time.time
    is_ordered: bool = True

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield the rows that are there, from the start or from behind `after`.

        Raises:
            SourceError: nothing is there, a file can't be read, or one that was read has changed.
            ValueError: batches of no rows.
        """
        if batch_rows < 1:
            raise ValueError(f"batch_rows must be at least 1, got {batch_rows}")
        position = parse_position(after, self.name)
        entries = self.folder.entries()
        position = without_gone(position, entries)
        for entry in self._plan(entries, position):
            for rows, reached in self._read_file(entry, position, batch_rows):
                position = reached
                yield replace(rows, end=position.to_json())

    def _plan(self, entries: list[FileEntry], position: Position) -> list[FileEntry]:
        """Return the files to read, in order: the one in hand first."""
        finished = FinishedFiles(position)
        left = [entry for entry in entries if not self._is_finished(entry, position, finished)]
        mark = position.mark
        if mark is None:
            return left
        in_hand = [entry for entry in left if entry.name == mark.file]
        if not in_hand and not self._may_go(mark, entries, position, finished):
            raise SourceError(f"{self._place(mark.file)}: is gone, and only {mark.row} rows of it had been read")
        return in_hand + [entry for entry in left if entry.name != mark.file]

    def _is_finished(self, entry: FileEntry, position: Position, finished: FinishedFiles) -> bool:
        if entry.format in _GROWING:
            mark = position.growing.get(entry.name)
            return mark is not None and (mark.byte, mark.stamp) == (entry.size, entry.stamp)
        known = finished.find(entry)
        if known is None:
            return False
        if not known.is_as_it_was(entry) and not known.has_digest(identify(self.folder, entry)):
            raise SourceError(
                f"{self._place(entry.name)}: was replaced after it had been read; put the old one back, or give the "
                "new one another name to have it read as well"
            )
        return True

    def _may_go(self, mark: Mark, entries: list[FileEntry], position: Position, finished: FinishedFiles) -> bool:
        """Return whether all of the file in hand was read: then it may stay away."""
        if mark.file in position.growing:
            return mark.byte == mark.size or any(entry.name == mark.file for entry in entries)
        return finished.find(FileEntry(mark.file, mark.size, mark.stamp)) is not None

    def _read_file(self, entry: FileEntry, position: Position, batch_rows: int) -> Iterator[tuple[Rows, Position]]:
        if entry.format in _UNMARKED and self._is_young(entry):
            return
        mark = self._mark(entry, position)
        try:
            with closing(self._open(entry)) as file:
                yield from self._rows(entry, file, mark, position, batch_rows)
        except Unfinished as exc:
            self._check_not_replaced(entry)
            if not self._is_young(entry):
                raise SourceError(str(exc)) from exc
        except OSError as exc:
            self._check_not_replaced(entry)
            raise unread(self._place(entry.name), exc) from exc
        except SourceError as exc:
            self._check_not_replaced(entry)
            raise (SourceAbsent(str(exc), is_empty=False) if _OF_STORE in str(exc) else exc) from exc.__cause__

    def _check_not_replaced(self, entry: FileEntry) -> None:
        """Raise where what can't be read in a store are parts of two versions; a local file that is open stays one."""
        if self.folder.is_local:
            return
        now = self.folder.entry(entry.name)
        if now is None:
            raise SourceError(f"{self._place(entry.name)}: vanished while it was read")
        if entry.format not in _GROWING and (now.stamp, now.size) != (entry.stamp, entry.size):
            raise SourceError(f"{self._place(entry.name)}: was replaced while it was read")

    def _rows(
        self, entry: FileEntry, file: BinaryIO, mark: Mark, position: Position, batch_rows: int
    ) -> Iterator[tuple[Rows, Position]]:
        place, is_growing = self._place(entry.name), entry.format in _GROWING
        digest = mark.digest if is_growing else identify(self.folder, entry)
        reader = self._reader(entry, file, mark, position)
        for raw, is_last in _with_last(reader.batches(batch_rows)):
            dimension = position.dimension if mark.row else None
            rows = rows_of(
                raw,
                dimension=self.dimension if dimension is None else dimension,
                place=place,
                first_row=mark.row,
                before=position.dimension,
                known=self.known,
            )
            self._check_unchanged(entry, "" if is_growing else digest, is_last=is_last)
            if is_growing:
                # Lines may be added meanwhile, but those that were read stay.
                if mark.byte and identify(self.folder, entry, mark.byte) != digest:
                    raise SourceError(f"{place}: was replaced while it was read")
                digest = identify(self.folder, entry, raw.byte)
            mark = Mark(entry.name, mark.row + len(rows), entry.size, entry.stamp, digest, raw.line, raw.byte)
            position = position.at(mark, rows.vectors.shape[1], is_growing=is_growing)
            if is_last and not is_growing:
                position = position.finish(entry, digest)
            yield rows, position

    def _reader(self, entry: FileEntry, file: BinaryIO, mark: Mark, position: Position) -> Reader:
        place = self._place(entry.name)
        columns = self.columns if entry.format in _WITHOUT_COLUMNS else self.columns.over(self.columns_of_baseline)
        if entry.format in _READERS:
            kind = _READERS[entry.format]
            return kind(file, entry.size, columns=columns, place=place, skip_rows=mark.row)
        lines = Lines(
            is_json=entry.format != "txt",
            is_gzip=entry.format == "jsonl.gz",
            takes_tail=not self._is_young(entry),
            has_vectors=None if position.dimension is None else position.dimension > 0,
        )
        return LineReader(
            file,
            lines=lines,
            columns=columns,
            place=place,
            skip_rows=mark.row,
            line=mark.line,
            byte=mark.byte,
        )

    def _mark(self, entry: FileEntry, position: Position) -> Mark:
        """Return how far a file was read before; it must still be the same file.

        Raises:
            SourceError: it isn't.
        """
        if entry.format in _GROWING:
            mark = position.growing.get(entry.name)
        else:
            mark = position.mark if position.mark and position.mark.file == entry.name else None
        if mark is None:
            return Mark(entry.name, 0, entry.size, entry.stamp, "")
        place = self._place(entry.name)
        if entry.size < mark.byte or (not mark.byte and entry.size != mark.size):
            what = "shorter" if entry.size < mark.size else "another file"
            raise SourceError(f"{place}: is {what} now ({entry.size} bytes, {mark.size} before): was it replaced?")
        if identify(self.folder, entry, mark.byte or None) != mark.digest:
            raise SourceError(f"{place}: its content was replaced after {mark.row} rows of it had been read")
        return mark

    def _check_unchanged(self, entry: FileEntry, digest: str, *, is_last: bool) -> None:
        """Raise where a file isn't the one that was begun.

        Args:
            digest: Of a file that doesn't grow, as it was at its first row; "" of one that does.
        """
        if not (self.folder.is_local or is_last):
            return  # each look is a request to the store
        now = self.folder.entry(entry.name)
        if now is None and not self.folder.is_local:
            raise SourceError(f"{self._place(entry.name)}: vanished while it was read")
        # A local file that is gone is still there for who has it open.
        if now is not None and (self._is_other(now, entry, digest) if digest else now.size < entry.size):
            raise SourceError(f"{self._place(entry.name)}: was replaced while it was read")

    def _is_other(self, now: FileEntry, entry: FileEntry, digest: str) -> bool:
        if (now.stamp, now.size) != (entry.stamp, entry.size):
            return True
        # A store may tell times in seconds.
        return not self.folder.is_local and identify(self.folder, entry) != digest

    def _open(self, entry: FileEntry) -> BinaryIO:
        return self.folder.open(entry.name)

    def _is_young(self, entry: FileEntry) -> bool:
        return entry.modified is not None and self.clock() - entry.modified < self.settling_s

    def _place(self, name: str) -> str:
        shown_name = shown_place(name)
        base = self.name.rstrip("/")
        return base if base.endswith(shown_name) else f"{base}: {shown_name}"


def _with_last(batches: Iterator[RawRows]) -> Iterator[tuple[RawRows, bool]]:
    """Yield each batch that has rows, and whether it's the last."""
    held: RawRows | None = None
    for batch in batches:
        if not batch.count:
            continue
        if held is not None:
            yield held, False
        held = batch
    if held is not None:
        yield held, True
