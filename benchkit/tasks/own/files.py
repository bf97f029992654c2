"""Files of a team's own data as rows, each with the place that a message names.

    x.csv · x.tsv · x.jsonl · x.parquet ── read_rows ──> Row("x.csv:2", {"text": "a", ...}), ...
    folder, "test" ── find_file ──> folder/test.csv

A value stays what its file says: a text in csv and tsv, any value of JSON or Parquet. What only some readers take for
several columns, keys or texts is refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.own.problems import Problems

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file and the place that a message names."""

    place: str
    values: Mapping[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Read a csv, tsv, jsonl or parquet file.

    Raises:
        SuiteError: the file is missing, empty, not UTF-8, of another kind, or has lines that can't be read.
    """
    if not path.is_file():
        raise SuiteError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise SuiteError(f"{path}: a file of this kind can't be read; allowed: {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as exc:
        where = readings.undecodable(content, exc.start)
        raise SuiteError(f"{path}: not UTF-8 text (byte {exc.start}); save it as UTF-8; {where}") from exc
    return _read_jsonl(path, text) if path.suffix == ".jsonl" else _read_separated(path, text)


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as exc:
        raise SuiteError(f"{path}: not a readable Parquet file ({exc})") from exc
    return [Row(f"{path}: row {number}", row) for number, row in enumerate(rows, 1)]


def _read_jsonl(path: Path, text: str) -> list[Row]:
    problems = Problems()
    rows: list[Row] = []
    # str.splitlines would also cut at U+2028, which is legal inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except json.JSONDecodeError as exc:
            problems.add(f"{place}: not a JSON object ({exc.msg} at column {exc.colno})")
            continue
        except (ValueError, RecursionError) as exc:  # a number of 5,000 digits, a thousand lists in each other
            problems.add(f"{place}: not readable as JSON ({exc})")
            continue
        if isinstance(value, dict):
            rows.append(Row(place, value))
        else:
            problems.add(f"{place}: expected a JSON object, found {type(value).__name__}")
    problems.raise_if_any()
    return rows


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, of which `json` would keep the last of two values under one key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {_doubled([key for key, _ in pairs])[0]!r} stands twice")
    return found


def _read_separated(path: Path, text: str) -> list[Row]:
    problems = Problems()
    # A field may be as long as a document.
    csv.field_size_limit(2**31 - 1)
    lines = list(io.StringIO(text, newline=""))
    if path.suffix == ".tsv":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, strict=True)
    rows: list[Row] = []
    read = 0
    try:
        header = next(reader, [])
        if lines and (strange := readings.strange_header(header, path.suffix)):
            raise SuiteError(f"{path}:1: {strange}")
        for name in _doubled(header):
            problems.add(f"{path}:1: the column {name!r} stands twice in the header")
        read = reader.line_num
        for fields in reader:
            place, read = f"{path}:{reader.line_num}", reader.line_num
            if not fields:
                continue  # an empty line
            if len(fields) != len(header):
                problems.add(f"{place}: expected {len(header)} columns, as in the header, found {len(fields)}")
                continue
            values = dict(zip(header, fields, strict=True))
            if strange := _strange_quotes(path, values, lines[reader.line_num - 1]):
                problems.add(f"{place}: {strange}")
            rows.append(Row(place, values))
    except csv.Error as exc:
        # Where the row begins: after a quotation mark that isn't closed, the reader is at the end of the file.
        problems.add(f"{path}:{read + 1}: not readable as {path.suffix[1:]} ({exc})")
    problems.raise_if_any()
    return rows


def _strange_quotes(path: Path, values: Mapping[str, str], line: str) -> str:
    """Say which field is quoted in a way that its kind of file takes for text, "" for none."""
    for name, value in values.items():
        if path.suffix == ".tsv" and readings.is_quoted_as_csv(value):
            return f"{name} is quoted as in csv, got {value!r:.60}; in tsv quotation marks are text; save it as csv"
        if path.suffix == ".csv" and readings.is_quoted_after_space(value, line):
            return f"{name} has a space before its quotation mark, got {value!r:.60}; leave out the space"
    return ""


def _doubled(names: Sequence[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def find_file(folder: Path, *stems: str) -> Path | None:
    """Return the file named by the first stem that has one: "corpus.jsonl", else a part of it, "corpus.test.jsonl".

    Raises:
        SuiteError: several files answer to it.
    """
    for stem in stems:
        files = [file for file in sorted(folder.glob(f"{stem}*")) if file.suffix in SUFFIXES and file.is_file()]
        for wanted in (stem, f"{stem}.test"):
            if found := [file for file in files if file.name.removesuffix(file.suffix) == wanted]:
                return _only(folder, found)
        if found := [file for file in files if file.name.startswith(f"{stem}.")]:
            return _only(folder, found)
    return None


def _only(folder: Path, files: Sequence[Path]) -> Path:
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise SuiteError(f"{folder}: {names}: one of them would be read; put all rows into one file, or keep one")
    return files[0]


def file_of(data: Path, *stems: str) -> Path:
    """Return `data` if it is a file, else the file of that folder which `find_file` finds.

    Raises:
        SuiteError: several files answer to a stem, or none does.
    """
    if data.is_file():
        return data
    found = find_file(data, *stems)
    if found is None:
        names = " or ".join(f"{stem}{{{','.join(SUFFIXES)}}}" for stem in stems)
        others = sorted({file.name for stem in stems for file in data.glob(f"{stem}*")})
        hint = f"; {', '.join(others[:3])} can't be read" if others else ""
        raise SuiteError(f"{data}: no file {names} in this folder{hint}")
    return found
