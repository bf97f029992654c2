"""Read a team's own files into rows, and say everything that is wrong with them at once.

    data: pairs.csv · pairs.jsonl · pairs.parquet · folder/test.jsonl · folder/{corpus,queries}.jsonl + qrels/test.tsv
        ──> PairData · LabelledData · RetrievalData   (plain records, checked)

A place in a message is "file:line" for text files and "file: row n" for Parquet. Lone surrogates can't be stored as
UTF-8 by any later step; they become U+FFFD here and the reader is told.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.tag_columns import tags_of_rows

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")
# More messages than this help nobody; the rest is counted.
MAX_PROBLEMS = 20
# What the library that computes nDCG can hold.
MAX_GRADE = 2**31 - 1
_TRUTH = {"true": 1.0, "false": 0.0}
# Columns on which a score depends by their values alone: taking the wrong one of two would go unnoticed.
_ANSWERS = frozenset({"label", "query-id", "corpus-id", "_id"})


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, so that a user mends a file once and not line by line."""

    found: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, message: str) -> None:
        self.total += 1
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(message)

    def raise_if_any(self) -> None:
        if self.total:
            more = [f"... and {self.total - len(self.found)} more"] if self.total > len(self.found) else []
            raise SuiteError("\n".join(self.found + more))


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
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SuiteError(f"{path}: not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc
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
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.DictReader(lines, strict=True)
    rows: list[Row] = []
    try:
        for name in _doubled(reader.fieldnames or ()):
            problems.add(f"{path}:1: the column {name!r} stands twice in the header")
        for values in reader:
            place = f"{path}:{reader.line_num}"
            if None in values or None in values.values():
                problems.add(f"{place}: expected {len(reader.fieldnames or ())} columns, as in the header")
                continue
            if strange := _strange_quotes(path, values, lines[reader.line_num - 1]):
                problems.add(f"{place}: {strange}")
            rows.append(Row(place, values))
    except csv.Error as exc:
        problems.add(f"{path}:{reader.line_num}: not readable as {path.suffix[1:]} ({exc})")
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


class Table:
    """Rows of one file with typed access to columns; every problem is collected, none is guessed away.

    Args:
        columns: Own names of columns; None where a suite can't give any, as in the BEIR layout.
    """

    def __init__(self, path: Path, columns: Mapping[str, str] | None, problems: Problems) -> None:
        self.path = path
        self.rows = read_rows(path)
        self._columns = columns or {}
        self._can_rename = columns is not None
        # Of all rows: a jsonl file may leave a key out where it has no value, in its first row too.
        self._known = list(dict.fromkeys(name for row in self.rows for name in row.values))
        self._problems = problems
        self._used: dict[str, str] = {}
        self.repaired = 0

    def tags(self, rows: Sequence[Row] | None = None) -> dict[str, list[str]]:
        """Return the columns that nothing has asked for and that make slices, for all rows or some of them."""
        return tags_of_rows([row.values for row in (self.rows if rows is None else rows)], used=self._used)

    def _name(self, column: str, *fallbacks: str) -> str | None:
        if not self.rows:
            return None  # that there is no row at all is for the caller to say, once
        wanted = self._columns.get(column)
        for name in (wanted,) if wanted else (column, *fallbacks):
            if name in self._known:
                if wanted is None:
                    self._refuse_twin(column, name, fallbacks)
                if name in self._used:
                    self._problems.add(
                        f"{self.path}: the column {name!r} would be both {self._used[name]} and {column}"
                    )
                self._used[name] = column
                return name
        hint = f"; name it in the suite: columns: {{{column}: ...}}" if not wanted and self._can_rename else ""
        found = ", ".join(map(str, self._known))
        self._problems.add(f"{self.path}: no column {wanted or column!r}; found: {found}{hint}")
        return None

    def _refuse_twin(self, column: str, name: str, fallbacks: Sequence[str]) -> None:
        """Refuse two columns that are called alike and differ, where the wrong one would be taken without a word."""
        values = [row.values.get(name) for row in self.rows]
        for twin in fallbacks if column in _ANSWERS else ():
            others = [row.values.get(twin) for row in self.rows]
            # Ids that have none in common can't be confused: judgements know only one kind.
            could_be = column == "label" or not {*map(str, values)}.isdisjoint(map(str, others))
            if twin != name and twin in self._known and others != values and could_be:
                hint = "name one in the suite" if self._can_rename else "leave one out"
                self._problems.add(f"{self.path}: {name!r} and {twin!r} are both there and differ; {hint}")

    def texts(self, column: str, *fallbacks: str, optional: bool = False) -> list[str]:
        """Return a column of texts; an optional one is "" where it is absent or has no value."""
        if optional and column not in self._known:
            return [""] * len(self.rows)
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        return [self._text(row, name, optional=optional) for row in self.rows]

    def _text(self, row: Row, name: str, *, optional: bool) -> str:
        value = row.values.get(name)
        if isinstance(value, str):
            # UTF-16 has an escape for a lone surrogate, UTF-8 has none; "replace" then gives U+FFFD.
            repaired = (
                value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(value) else value
            )
            self.repaired += repaired is not value
            return repaired
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if not optional:
                self._problems.add(f"{row.place}: {name} is missing")
        else:
            self._problems.add(f"{row.place}: {name} should be a text, got {value!r:.60}")
        return ""

    def identifiers(self, column: str, *fallbacks: str, unique: bool) -> list[str]:
        """Return a column of ids as texts; numbers are taken as they are written."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        found: list[str] = []
        seen: dict[str, str] = {}
        for row in self.rows:
            value = row.values.get(name)
            if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
                self._problems.add(f"{row.place}: {name} should be an id (text or whole number), got {value!r:.60}")
                value = ""
            key = self._storable(str(value), row, name)
            if unique and key and key in seen:
                self._problems.add(f"{row.place}: the id {key!r} stands already at {seen[key]}")
            seen.setdefault(key, row.place)
            found.append(key)
        return found

    def numbers(self, column: str, *fallbacks: str, default: float | None = None) -> list[float]:
        """Return a column of finite numbers."""
        if default is not None and column not in self._known:
            return [default] * len(self.rows)
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        return [self._number(row, name) for row in self.rows]

    def grades_elsewhere(self, column: str) -> str:
        """Return the name of a column of numbers that nothing has asked for, where `column` isn't there."""
        is_there = column in self._known
        return "" if is_there else readings.grades_elsewhere([row.values for row in self.rows], known=self._used)

    def flags(self, column: str, *fallbacks: str) -> list[float]:
        """Return a column of 0 and 1, where true and false count as such; other numbers are left to the caller."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        # csv files spell truth values as words, in any case.
        words = [str(row.values.get(name)).strip().lower() for row in self.rows]
        return [
            _TRUTH[word] if word in _TRUTH else self._number(row, name)
            for row, word in zip(self.rows, words, strict=True)
        ]

    def _number(self, row: Row, name: str) -> float:
        value = row.values.get(name)
        try:
            # Python reads True as 1 and "1_5" as 15.
            is_else = isinstance(value, bool) or (isinstance(value, str) and "_" in value)
            number = math.nan if is_else or value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not math.isfinite(number):
            self._problems.add(f"{row.place}: {name} should be a finite number, got {value!r:.60}")
            return 0.0
        return number

    def labels(self, column: str, *fallbacks: str) -> list[str]:
        """Return a column of class labels (texts or whole numbers) as texts."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        found = []
        for row in self.rows:
            value = row.values.get(name)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if not _is_label(value) or readings.is_written_list(str(value)):
                self._problems.add(f"{row.place}: {name} should be a label (text or whole number), got {value!r:.60}")
                value = ""
            found.append(self._storable(str(value), row, name))
        self._refuse_alike(name, [[label] for label in found])
        return found

    def _refuse_alike(self, name: str, labels: Sequence[Sequence[str]]) -> None:
        """Refuse two spellings of what a person reads as one label, which would count as two."""
        first: dict[str, str] = {}
        told: set[str] = set()
        for row, several in zip(self.rows, labels, strict=True):
            for label in several:
                other = first.setdefault(readings.plain_label(label), label)
                if other != label and label not in told:
                    told.add(label)
                    self._problems.add(f"{row.place}: {name} {label!r} and {other!r} read alike; write them in one way")

    def label_lists(self, column: str, *fallbacks: str) -> list[list[str]]:
        """Return a column of label lists; in csv the labels of a row are separated by "|"."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        is_joined_otherwise = readings.are_joined_otherwise(
            [value for row in self.rows if isinstance(value := row.values.get(name), str)]
        )
        found = []
        for row in self.rows:
            value = row.values.get(name)
            if isinstance(value, str):
                if _hides_labels(value) or (is_joined_otherwise and ("," in value or ";" in value)):
                    # It would count as one label, or as several wrong ones.
                    self._problems.add(f'{row.place}: {name} should be labels separated by "|", got {value!r:.60}')
                value = [part.strip() for part in value.split("|") if part.strip()]
            if not isinstance(value, list) or not all(map(_is_label, value)):
                self._problems.add(f"{row.place}: {name} should be a list of labels, got {value!r:.60}")
                value = []
            # A label that stands twice would be drawn twice as often to train on.
            found.append([self._storable(label, row, name) for label in dict.fromkeys(map(str, value))])
        self._refuse_alike(name, found)
        return found

    def _storable(self, key: str, row: Row, name: str) -> str:
        """Refuse an id or a label that files or NumPy would store as another one, so that two could become one."""
        if _has_surrogate(key) or "\0" in key:
            self._problems.add(
                f"{row.place}: {name} holds a lone surrogate or a NUL, which can't be stored: {key!r:.60}"
            )
        return key


def _hides_labels(value: str) -> bool:
    return readings.is_written_list(value) or readings.is_in_brackets(value)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and bool(str(value).strip())


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(frozen=True, slots=True)
class PairData:
    """Text pairs with a score (STS), a 0/1 label (PairClassification) or nothing (BitextMining).

    Attributes:
        tags: Further columns that make slices, one text for each pair.
    """

    first: list[str]
    second: list[str]
    values: list[float] | None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Texts with one label each, or a list of labels each; `train` is empty for clustering.

    Attributes:
        tags: Further columns that make slices, one text for each row that is tested on.
    """

    train_texts: list[str]
    train_labels: list[Any]
    texts: list[str]
    labels: list[Any]
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrievalData:
    """A corpus, queries and graded judgements; `candidates` for reranking.

    Attributes:
        tags: Further facts of the queries that make slices, one text for each query, in their order.
    """

    corpus: dict[str, tuple[str, str]]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    candidates: dict[str, list[str]] | None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def _text_notes(tables: Sequence[Table], texts: Iterable[str]) -> tuple[str, ...]:
    """Say what a reader of the score should know of the texts that a model gets."""
    notes = []
    if repaired := sum(table.repaired for table in tables):
        notes.append(f"{_count(repaired, 'text')} held lone surrogates, which were replaced by U+FFFD")
    if empty := sum(not text.strip() for text in texts):
        notes.append(f"{_count(empty, 'text')} {'is' if empty == 1 else 'are'} empty")
    return tuple(notes)


def _labelled_notes(tables: Sequence[Table], texts: Sequence[str], labels: Sequence[Any]) -> tuple[str, ...]:
    names = [part for label in labels for part in _parts(label)]
    said = (readings.no_value_note(texts, "text"), readings.no_value_note(names, "label"), readings.case_note(names))
    return (*_text_notes(tables, texts), *filter(None, said))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _file_of(data: Path, *stems: str) -> Path:
    if data.is_file():
        return data
    found = find_file(data, *stems)
    if found is None:
        names = " or ".join(f"{stem}{{{','.join(SUFFIXES)}}}" for stem in stems)
        raise SuiteError(f"{data}: no file {names} in this folder")
    return found


def read_pairs(data: Path, columns: Mapping[str, str], *, kind: str) -> PairData:
    """Read pairs of an STS, PairClassification or BitextMining task.

    Raises:
        SuiteError: with every problem found: a missing column, a score that is no finite number, a label other than
            0 and 1, one label or one score only, fewer than two pairs.
    """
    problems = Problems()
    table = Table(_file_of(data, "test", "pairs"), columns, problems)
    first, second = table.texts("sentence1"), table.texts("sentence2")
    _refuse_splits(table, problems)
    values = None
    if kind == "STS":
        values = table.numbers("score")
    elif kind == "PairClassification":
        values = table.flags("label", "labels")
        for row, value in zip(table.rows, values, strict=False):
            if value not in (0.0, 1.0):
                problems.add(f"{row.place}: label should be 0 or 1, got {value:g}")
    problems.raise_if_any()
    _refuse_few(table, len(first), 2)
    if values is not None and len(set(values)) < 2:
        column = "score" if kind == "STS" else "label"
        problems.add(f"{table.path}: every {column} is {values[0]:g}; a score can't be computed from one value")
    problems.raise_if_any()
    notes = (
        *_text_notes([table], [*first, *second]),
        *filter(None, [readings.no_value_note([*first, *second], "text")]),
    )
    return PairData(first, second, values, notes, table.tags())


def _refuse_splits(table: Table, problems: Problems) -> None:
    """Refuse rows of several parts of a data set where all of them would be scored."""
    if names := readings.parts_in_one(row.values.get("split") for row in table.rows):
        problems.add(
            f"{table.path}: the column 'split' holds {names}, and every row would count; "
            "keep the rows of one part in a file of their own, or call the column otherwise"
        )


def _refuse_few(table: Table, found: int, needed: int) -> None:
    if found < needed:
        raise SuiteError(f"{table.path}: {_count(found, 'row')}; at least {needed} are needed")


def read_labelled(data: Path, columns: Mapping[str, str], *, multilabel: bool, train: bool, seed: int) -> LabelledData:
    """Read texts with labels; with `train`, from train.* and test.*, a `split` column, or a seeded half split.

    Raises:
        SuiteError: with every problem found: a missing column or text, a single class, a class of the test part that
            the training part lacks, an empty part.
    """
    problems = Problems()
    folder_train = find_file(data, "train") if data.is_dir() and train else None
    table = Table(_file_of(data, "test", "data"), columns, problems)
    texts, labels = _texts_and_labels(table, multilabel=multilabel)
    if not train:
        problems.raise_if_any()
        result = LabelledData([], [], texts, labels, _labelled_notes([table], texts, labels), table.tags())
    elif folder_train is not None:
        train_table = Table(folder_train, columns, problems)
        train_texts, train_labels = _texts_and_labels(train_table, multilabel=multilabel)
        for one in (table, train_table):
            _refuse_splits(one, problems)
        problems.raise_if_any()
        notes = _labelled_notes([table, train_table], [*texts, *train_texts], [*labels, *train_labels])
        result = LabelledData(train_texts, train_labels, texts, labels, notes, table.tags())
    else:
        problems.raise_if_any()
        result = _split(table, texts, labels, seed=seed, notes=_labelled_notes([table], texts, labels))
    _check_classes(table.path, result, train=train)
    return result


def _texts_and_labels(table: Table, *, multilabel: bool) -> tuple[list[str], list[Any]]:
    texts = table.texts("text", "sentences", "sentence")
    labels: list[Any] = table.label_lists("label", "labels") if multilabel else table.labels("label", "labels")
    return texts, labels


def _split(table: Table, texts: list[str], labels: list[Any], *, seed: int, notes: tuple[str, ...]) -> LabelledData:
    import numpy as np

    column = [row.values.get("split") for row in table.rows]
    if any(value is not None for value in column):
        is_train = [value == "train" for value in column]
        wrong = sorted({str(value) for value in column} - {"train", "test"})
        if wrong:
            raise SuiteError(f"{table.path}: split should be train or test, found {', '.join(wrong)}")
    else:
        # Every second row of each label, in a seeded order, so that both halves hold every label.
        rng = np.random.default_rng(seed)
        is_train = [False] * len(texts)
        seen: dict[str, int] = {}
        for row in rng.permutation(len(texts)):
            key = json.dumps(labels[row])
            is_train[row] = seen.get(key, 0) % 2 == 0
            seen[key] = seen.get(key, 0) + 1
        if texts and all(is_train):
            raise SuiteError(f"{table.path}: every label stands on one row only; half of two rows or more is tested on")
        notes = (*notes, f"no train part given: one half of {table.path.name} trains, the other tests (seed {seed})")
    return LabelledData(
        [text for text, chosen in zip(texts, is_train, strict=True) if chosen],
        [label for label, chosen in zip(labels, is_train, strict=True) if chosen],
        [text for text, chosen in zip(texts, is_train, strict=True) if not chosen],
        [label for label, chosen in zip(labels, is_train, strict=True) if not chosen],
        notes,
        table.tags([row for row, chosen in zip(table.rows, is_train, strict=True) if not chosen]),
    )


def _check_classes(path: Path, data: LabelledData, *, train: bool) -> None:
    problems = Problems()
    if not data.texts:
        problems.add(f"{path}: no rows to test on")
    if train and not data.train_texts:
        problems.add(f"{path}: no rows to train on")
    classes, trained = _classes(data.labels), _classes(data.train_labels)
    if data.texts and len(classes | trained) < 2:
        only = next(iter(classes), "none")
        problems.add(f"{path}: a single class ({only!r}); at least two are needed")
    if train and data.train_texts and classes - trained:
        unknown = ", ".join(map(repr, sorted(classes - trained)[:5]))
        problems.add(f"{path}: classes of the test part that the train part lacks: {unknown}")
    problems.raise_if_any()


def _classes(labels: Sequence[Any]) -> set[str]:
    return {part for label in labels for part in _parts(label)}


def _parts(label: Any) -> list[str]:
    return label if isinstance(label, list) else [label]


def read_retrieval(data: Path, *, reranking: bool) -> RetrievalData:
    """Read a folder in the BEIR layout: corpus, queries, qrels/test, and top_ranked for reranking.

    Raises:
        SuiteError: with every problem found: a missing file, an empty corpus, doubled ids, judgements of unknown
            queries or documents, no judged query at all.
    """
    if not data.is_dir():
        raise SuiteError(f"{data}: a folder is needed with corpus.jsonl, queries.jsonl and qrels/test.tsv")
    problems = Problems()
    corpus_table = Table(_file_of(data, "corpus"), None, problems)
    query_table = Table(_file_of(data, "queries"), None, problems)
    documents = corpus_table.identifiers("_id", "id", unique=True)
    titles, texts = corpus_table.texts("title", optional=True), corpus_table.texts("text")
    query_ids = query_table.identifiers("_id", "id", unique=True)
    query_texts = query_table.texts("text")
    if not corpus_table.rows:
        problems.add(f"{corpus_table.path}: the corpus is empty")
    if not query_table.rows:
        problems.add(f"{query_table.path}: there are no queries")
    problems.raise_if_any()
    corpus = dict(zip(documents, zip(titles, texts, strict=True), strict=True))
    queries = dict(zip(query_ids, query_texts, strict=True))
    qrels = _read_qrels(_qrels_file(data), queries, corpus, problems)
    candidates = _read_candidates(data, qrels, corpus, problems) if reranking else None
    documents_read = (f"{title} {text}" for title, text in corpus.values())
    notes = list(_text_notes([corpus_table, query_table], [*documents_read, *queries.values()]))
    notes += filter(None, [readings.no_value_note([*titles, *texts, *query_texts], "text")])
    relevant = {query: judged for query, judged in qrels.items() if any(score > 0 for score in judged.values())}
    if len(relevant) < len(queries):
        left_out = sorted(set(queries) - set(relevant))
        notes.append(
            f"{len(left_out)} of {len(queries)} queries have no relevant document and are left out{_few(left_out)}"
        )
    notes += _candidate_notes(candidates, relevant)
    if relevant and candidates is not None and not _can_be_wrong(candidates, relevant):
        problems.add(f"{data}: every candidate is relevant, so that any order is right; add others in top_ranked.jsonl")
    if not relevant:
        problems.add(f"{data}: no query has a relevant document (a judgement above 0)")
    problems.raise_if_any()
    kept = [row for row, query in zip(query_table.rows, query_ids, strict=True) if query in relevant]
    return RetrievalData(
        corpus,
        {query: queries[query] for query in queries if query in relevant},
        relevant,
        candidates,
        tuple(notes),
        query_table.tags(kept),
    )


def _qrels_file(data: Path) -> Path:
    for folder, stems in ((data / "qrels", ("test", "validation", "dev")), (data, ("qrels",))):
        if folder.is_dir() and (found := find_file(folder, *stems)) is not None:
            return found
    raise SuiteError(f"{data}: no judgements; expected qrels/test.tsv with the columns query-id, corpus-id, score")


def _read_qrels(
    path: Path, queries: Mapping[str, str], corpus: Mapping[str, object], problems: Problems
) -> dict[str, dict[str, int]]:
    table = Table(path, None, problems)
    query_ids = table.identifiers("query-id", "query_id", unique=False)
    document_ids = table.identifiers("corpus-id", "corpus_id", unique=False)
    scores = table.numbers("score", default=1.0)
    if not table.rows:
        problems.add(f"{path}: no judgements below the header")
    elif query_ids and document_ids and (grades := table.grades_elsewhere("score")):
        problems.add(f"{path}: no column 'score', and {grades!r} holds numbers; call it score, or leave it out")
    qrels: dict[str, dict[str, int]] = {}
    for row, query, document, score in zip(table.rows, query_ids, document_ids, scores, strict=False):
        if query not in queries:
            problems.add(f"{row.place}: the query {query!r} is not among the queries")
        if document not in corpus:
            problems.add(f"{row.place}: the document {document!r} is not in the corpus")
        if score != int(score) or abs(score) > MAX_GRADE:
            problems.add(f"{row.place}: score should be a whole number up to {MAX_GRADE}, got {score:g}")
        earlier = qrels.setdefault(query, {}).setdefault(document, int(score))
        if earlier != int(score):
            problems.add(f"{row.place}: {query!r} and {document!r} were judged {earlier} before, now {score:g}")
    return qrels


def _read_candidates(
    data: Path, qrels: Mapping[str, Mapping[str, int]], corpus: Mapping[str, object], problems: Problems
) -> dict[str, list[str]]:
    path = find_file(data, "top_ranked")
    if path is None:
        # Reranking without a first stage: each query's judged documents are its candidates.
        return {query: list(judged) for query, judged in qrels.items()}
    candidates: dict[str, list[str]] = {}
    for row in read_rows(path):
        query = str(row.values.get("query-id", row.values.get("query_id", "")))
        documents = row.values.get("corpus-ids", row.values.get("corpus_ids"))
        if not isinstance(documents, list):
            problems.add(f"{row.place}: corpus-ids should be a list of document ids, got {documents!r:.60}")
            continue
        unknown = [str(document) for document in documents if str(document) not in corpus]
        if unknown:
            problems.add(f"{row.place}: not in the corpus: {', '.join(unknown[:5])}")
        if query in candidates:
            problems.add(f"{row.place}: the candidates of {query!r} stand already on an earlier row")
        candidates[query] = list(dict.fromkeys(map(str, documents)))
    for query in qrels:
        if not candidates.get(query):
            problems.add(f"{path}: no candidates for the query {query!r}")
    return candidates


def _can_be_wrong(candidates: Mapping[str, Sequence[str]], relevant: Mapping[str, Mapping[str, int]]) -> bool:
    return any(
        judged.get(document, 0) <= 0 for query, judged in relevant.items() for document in candidates.get(query, ())
    )


def _candidate_notes(
    candidates: Mapping[str, Sequence[str]] | None, relevant: Mapping[str, Mapping[str, int]]
) -> list[str]:
    if candidates is None:
        return []
    lost = [
        query
        for query, judged in relevant.items()
        if not any(judged.get(document, 0) > 0 for document in candidates.get(query, ()))
    ]
    if not lost:
        return []
    return [f"{len(lost)} of {len(relevant)} queries have no relevant document among their candidates{_few(lost)}"]


def _few(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
