"""Files of lines: JSON objects (.jsonl, .jsonl.gz), or one text a line (.txt); they may grow while they are read.

    line ── whole? ── JSON object ── columns by their usual names, looked up in each row ──> batches

A last line without an end is left for later, unless it's a whole JSON object, which no part of one is. Blank lines are
no rows. A key that a row lacks is a missing value there.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from benchkit.errors import SourceError
from benchkit.sources.columns import find_columns
from benchkit.sources.keyed import KeyedRows
from benchkit.sources.raw import RawRows, Unfinished
from benchkit.sources.words import reason
from benchkit.types.drift import ColumnNames

# A vector of 65,536 numbers takes 1.5 MB; a longer line is a bomb or no file of lines.
MAX_LINE_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Lines:
    """How a file of lines is read.

    Attributes:
        is_json: JSON objects, else texts.
        is_gzip: Packed, and so never appended to.
        takes_tail: A last text without a line end is a whole one: nobody is writing any more.
        has_vectors: As the rows before; None where nothing was read yet.
    """

    is_json: bool
    is_gzip: bool = False
    takes_tail: bool = True
    has_vectors: bool | None = None


class LineReader:
    """Reads a file of lines from a place on.

    Raises:
        SourceError: the line before that place was changed.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        lines: Lines,
        columns: ColumnNames,
        place: str,
        skip_rows: int = 0,
        line: int = 0,
        byte: int = 0,
    ) -> None:
        self._lines, self._place = lines, place
        self._skip = skip_rows if lines.is_gzip else 0
        self._line, self._byte = line, byte
        if not lines.is_json:
            find_columns(["text"], columns, place)
        self._keyed = KeyedRows(columns, place, has_vectors=lines.has_vectors, is_start=skip_rows == 0)
        self._file = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if lines.is_gzip else file
        if not lines.is_gzip:
            self._go_on()

    def batches(self, batch_rows: int) -> Iterator[RawRows]:
        rows: list[Any] = []
        try:
            for row in self._rows():
                rows.append(row)
                if len(rows) == batch_rows:
                    yield self._raw(rows)
                    rows = []
        except EOFError as exc:
            raise Unfinished(f"{self._place}: half-written or truncated: the packed data ends too early") from exc
        except (OSError, zlib.error) as exc:
            raise SourceError(f"{self._place}: line {self._line + 1} can't be read: {reason(exc)}") from exc
        if rows:
            yield self._raw(rows)

    def _go_on(self) -> None:
        """Stand where reading goes on; what was read must have ended with its line."""
        self._file.seek(max(0, self._byte - 1))
        if not self._byte or self._file.read(1) == b"\n":
            return
        rest = self._file.readline(3)
        if rest.strip(b"\r\n"):
            raise SourceError(f"{self._place}: line {self._line} was changed after it had been read")
        self._byte += len(rest)

    def _rows(self) -> Iterator[Any]:
        while raw := self._file.readline(MAX_LINE_BYTES + 1):
            if len(raw) > MAX_LINE_BYTES:
                raise SourceError(f"{self._place}: line {self._line + 1} is longer than {MAX_LINE_BYTES} bytes")
            row = self._row(raw)
            if row is _LATER:
                return
            self._line += 1
            self._byte += 0 if self._lines.is_gzip else len(raw)
            if row is not None and self._skip:
                self._skip -= 1
            elif row is not None:
                yield row

    def _row(self, raw: bytes) -> Any:
        """Return a row, None for a blank line, or _LATER for one that isn't whole yet."""
        is_whole = raw.endswith(b"\n") or self._lines.is_gzip
        if not is_whole and not self._lines.is_json and not self._lines.takes_tail:
            return _LATER
        stripped = raw.removeprefix(_BOM).strip(b"\r\n") if self._line == 0 else raw.strip(b"\r\n")
        if not stripped.strip():
            return None if is_whole else _LATER
        if self._skip:
            return True
        try:
            text = stripped.decode("utf-8")
            return self._object(text) if self._lines.is_json else text
        except (ValueError, RecursionError) as exc:
            if not is_whole:
                return _LATER
            what = "not UTF-8" if isinstance(exc, UnicodeDecodeError) else f"no JSON ({reason(exc)})"
            raise SourceError(f"{self._place}: line {self._line + 1}: {what}") from exc

    def _object(self, text: str) -> dict[str, Any]:
        row = json.loads(text)
        if not isinstance(row, dict):
            found = f'a JSON {type(row).__name__}, where an object such as {{"embedding": [...]}} is needed'
            raise SourceError(f"{self._place}: line {self._line + 1}: {found}")
        return row

    def _raw(self, rows: list[Any]) -> RawRows:
        columns = self._keyed.columns(rows) if self._lines.is_json else {"text": rows}
        return RawRows(count=len(rows), columns=columns, line=self._line, byte=self._byte)


_LATER = object()
